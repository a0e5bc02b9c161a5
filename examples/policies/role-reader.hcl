# An application that may read tokens for one role, "reports", and for no other; nor with the settings of config.
#
# Vault's built-in policy "default", which a token has unless it was made without, lets it also renew its leases and
# revoke its own token, which gives back the leases that were read with it.
path "workfront/token/reports" {
  capabilities = ["read"]
}
