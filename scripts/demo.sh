#!/usr/bin/env bash
# The whole story in a real Vault: bring in the plugin, give it a key, introduce it to Workfront (here: the
# simulator), lend out a session, use it, take it back. Prints each command and its output; ends with 0 only
# if all of it went as told.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
need curl jq openssl

# expect WHAT COMMAND...: what the story claims is checked, not hoped for.
expect() {
  local what=$1
  shift
  "$@" >/dev/null || die "expected: $what"
}

make_temp_dir
start_simulator
start_vault

say "1. Bring the plugin into Vault. Its file lies in Vault's plugin directory; the checksum pins that very file."
register_and_mount
run "vault read workfront/info"

say "2. Have Vault make a signing key. The private key never leaves Vault; what comes out is a certificate."
run "vault write -f workfront/keys/default/generate"
run "vault read -field=certificate workfront/keys/default > workfront.crt"
run "openssl x509 -in workfront.crt -noout -subject -enddate"
expect "a certificate" openssl x509 -in "$TEMP/workfront.crt" -noout

say "3. Introduce it to Workfront. There these are clicks: Setup > System > OAuth2 Applications > your Machine to
   Machine application > Add a public key, as the user whose sessions are to be lent out. The simulator has an
   address for it:"
run "curl --silent --show-error --fail --cacert ca.pem --data-binary @workfront.crt \\
    '$BASE_URL/simulator/applications/$CLIENT_ID/public-keys?user_id=$USER_ID'"

say "4. Tell the plugin where Workfront is and who it is there. @ reads a file, so that no secret is on the command
   line. A real Workfront needs neither ca_cert nor allow_custom_host: these are for the simulator's own address."
run "vault write workfront/config base_url=$BASE_URL \\
    client_id=$CLIENT_ID client_secret=@client-secret \\
    customer_id=$CUSTOMER_ID user_id=$USER_ID \\
    ca_cert=@ca.pem allow_custom_host=true"
run "vault read workfront/config"
expect "that the client secret cannot be read back" \
  jq -e '.data.base_url and (.data | has("client_secret") | not)' <(vault read -format=json workfront/config)

say "5. Borrow a session. Vault signs a JWT, exchanges it at Workfront, and lends out what it got, under a lease."
run "vault read -format=json workfront/token | tee token.json"
expect "a leased access token" \
  jq -e '.lease_id != "" and .lease_duration > 0 and .data.access_token != "" and .data.token_type == "sessionID"' "$TEMP/token.json"
LEASE_ID=$(jq -er .lease_id "$TEMP/token.json")
# shellcheck disable=SC2034 # used in CALL, which run expands
ACCESS_TOKEN=$(jq -er .data.access_token "$TEMP/token.json")
say "   (ACCESS_TOKEN=\$(jq -r .data.access_token token.json), and LEASE_ID likewise)"

say "6. Use it: Workfront's API takes it in the header sessionID (here from standard input, not the command line)."
# %{http_code} is the last line of what curl prints, and of answer.
# shellcheck disable=SC2016 # $ACCESS_TOKEN is expanded by run, so that the page shows its name
CALL='curl --silent --show-error --cacert ca.pem --write-out "\nHTTP %{http_code}\n" --header @- \
    '"$BASE_URL/attask/api/v22.0/user/$USER_ID"' <<< "sessionID: $ACCESS_TOKEN" | tee answer'
run "$CALL"
expect "that the session is alive" grep -qx 'HTTP 200' "$TEMP/answer"

say "7. The lease: how long the session is lent out, in Vault's books."
run "vault list sys/leases/lookup/workfront/token"
run "vault lease lookup $LEASE_ID"

say "8. Give it back. Vault logs the session out at Workfront. (-sync: wait until that is done.)"
run "vault lease revoke -sync $LEASE_ID"

say "9. The same call again: the session is dead."
run "$CALL"
expect "that the session is dead" grep -qx 'HTTP 401' "$TEMP/answer"
if vault lease lookup "$LEASE_ID" >/dev/null 2>&1; then die "expected: that the lease is gone"; fi

say "Done: the session lived as long as its lease, and no one saw the client secret or the private key."
