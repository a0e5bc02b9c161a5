# What Agent and Proxy need for the role reports. Vault's policy "default", which an AppRole's token has, allows the
# renewal of leases and the revocation of the token itself; OpenBao's does, too.
path "workfront/token/reports" {
  capabilities = ["read"]
}

# For a client of Proxy that found its session dead: it revokes the lease, and reads a new one.
path "sys/leases/revoke" {
  capabilities = ["update"]
}
