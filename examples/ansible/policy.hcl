# What use.yml needs.
path "workfront/token/reports" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}

# The modules of community.hashi_vault look their token up first.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
