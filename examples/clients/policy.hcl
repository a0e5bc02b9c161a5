# What the clients here need: tokens of one role, and to renew and revoke the leases of these. (Vault's policy "default"
# allows the renewal; a token without it does not.)
path "workfront/token/reports" {
  capabilities = ["read"]
}

path "sys/leases/renew" {
  capabilities = ["update"]
}

# The clients in Python, Node and Go name the lease in the body, so this allows the revocation of any lease whose ID is
# known. (IDs cannot be guessed.)
path "sys/leases/revoke" {
  capabilities = ["update"]
}

# The command line names it in the path. Where this is enough, leave the rule above out.
path "sys/leases/revoke/workfront/token/reports/*" {
  capabilities = ["update"]
}
