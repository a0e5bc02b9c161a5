# An application that may read tokens for one role, "reports", and for no other; nor with the settings of config.
#
# Vault's built-in policy "default", which a token has unless it was made without, lets it also renew its leases and
# revoke its own token, which gives back the leases that were read with it.
path "workfront/token/reports" {
  # Reading is the usual way. Clients that send parameters by writing, such as Vault Agent for
  # {{ with secret "workfront/token" "ttl=5m" }}, need "update" as well.
  capabilities = ["read"]
}
