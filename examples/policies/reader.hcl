# An application that works with Workfront: it may read tokens with the settings of config, and nothing else of the
# mount. For a role, see role-reader.hcl.
#
# Vault's built-in policy "default", which a token has unless it was made without, lets it also renew its leases and
# revoke its own token, which gives back the leases that were read with it.
path "workfront/token" {
  # Reading is the usual way. Clients that send parameters by writing, such as Vault Agent for
  # {{ with secret "workfront/token" "ttl=5m" }}, need "update" as well.
  capabilities = ["read"]
}

# To give back one lease and keep the token, an application needs this too. It allows the revocation of any lease
# whose ID is known, so it is left out here.
#
# path "sys/leases/revoke" {
#   capabilities = ["update"]
# }
