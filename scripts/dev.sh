#!/usr/bin/env bash
# A dev Vault with the plugin mounted and configured, left running until Ctrl-C: for the simulator, or for a real
# Workfront when these are set: WORKFRONT_BASE_URL, WORKFRONT_CLIENT_ID, WORKFRONT_CLIENT_SECRET,
# WORKFRONT_CUSTOMER_ID, WORKFRONT_USER_ID, and WORKFRONT_PRIVATE_KEY_FILE for a key whose public half is in
# Workfront already (without it one is made, and its certificate printed to be added there).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
need curl jq openssl

set_names=() missing=()
for name in WORKFRONT_BASE_URL WORKFRONT_CLIENT_ID WORKFRONT_CLIENT_SECRET WORKFRONT_CUSTOMER_ID WORKFRONT_USER_ID; do
  if [[ -n "${!name:-}" ]]; then set_names+=("$name"); else missing+=("$name"); fi
done
key_file=${WORKFRONT_PRIVATE_KEY_FILE:-}
real=
if ((${#set_names[@]})) || [[ -n "$key_file" ]]; then
  if ((${#missing[@]})); then die "for a real Workfront, set also: ${missing[*]} (or unset all WORKFRONT_* for the simulator)"; fi
  real=yes
fi
if [[ -n "$key_file" ]]; then
  [[ -r "$key_file" ]] || die "WORKFRONT_PRIVATE_KEY_FILE=$key_file cannot be read"
fi

make_temp_dir
if [[ -n "$real" ]]; then
  BASE_URL=$WORKFRONT_BASE_URL CLIENT_ID=$WORKFRONT_CLIENT_ID CUSTOMER_ID=$WORKFRONT_CUSTOMER_ID USER_ID=$WORKFRONT_USER_ID
  # Files, because arguments show in ps.
  printf %s "$WORKFRONT_CLIENT_SECRET" >"$TEMP/client-secret"
  if [[ -n "$key_file" ]]; then (umask 077 && cp "$key_file" "$TEMP/private-key.pem"); fi
  # What Vault and the plugin start with is not to hold the secret.
  unset WORKFRONT_CLIENT_SECRET
  extra=
else
  start_simulator
  extra=$' \\\n    ca_cert=@ca.pem allow_custom_host=true'
fi

start_vault
register_and_mount
if [[ -n "$key_file" ]]; then
  run "vault write workfront/keys/default/import private_key=@private-key.pem"
  rm "$TEMP/private-key.pem"
else
  run "vault write -f workfront/keys/default/generate"
fi
run "vault read -field=certificate workfront/keys/default > workfront.crt"
# %q: what comes from the environment is to stay one word in the command line that run evaluates.
run "vault write workfront/config base_url=$(printf %q "$BASE_URL") \\
    client_id=$(printf %q "$CLIENT_ID") client_secret=@client-secret \\
    customer_id=$(printf %q "$CUSTOMER_ID") user_id=$(printf %q "$USER_ID")$extra"
rm "$TEMP/client-secret"

if [[ -z "$real" ]]; then
  run "curl --silent --show-error --fail --cacert ca.pem --data-binary @workfront.crt '$BASE_URL/simulator/applications/$CLIENT_ID/public-keys?user_id=$USER_ID'"
elif [[ -z "$key_file" ]]; then
  say "Add this certificate in Workfront, as the user $USER_ID: Setup > System > OAuth2 Applications > your Machine to
Machine application > Add a public key."
  cat "$TEMP/workfront.crt"
fi

# Sessions of a real Workfront would outlive this Vault, whose memory alone knows them.
# shellcheck disable=SC2317 # called by the trap
end() {
  trap - INT TERM HUP
  # The terminal may be gone (HUP).
  printf '\nlogging out what is lent out, and stopping\n' 2>/dev/null || true
  VAULT_CLIENT_TIMEOUT=30 vault lease revoke -sync -prefix workfront/token || true
  exit 0
}
trap end INT TERM HUP

say "Ready. In another shell:" \
  "export VAULT_ADDR=$VAULT_ADDR VAULT_TOKEN=$VAULT_TOKEN
export PATH=$(printf %q "$TEMP/path"):\$PATH   # this Vault's own command
vault read workfront/token" \
  "Logs: $TEMP/*.log. Ctrl-C ends it and removes everything."

wait "$VAULT_PID" || true
tail -n 20 "$TEMP/vault.log" >&2
die "Vault ended by itself"
