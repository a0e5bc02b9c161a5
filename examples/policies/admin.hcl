# Who sets the mount up: config and keys, but no tokens. What is secret in them cannot be read back by anyone.
path "workfront/config" {
  capabilities = ["create", "read", "update", "patch", "delete"]
}

path "workfront/keys" {
  capabilities = ["list"]
}

path "workfront/keys/+" {
  capabilities = ["read", "delete"]
}

path "workfront/keys/+/generate" {
  capabilities = ["update"]
}

path "workfront/keys/+/import" {
  capabilities = ["update"]
}

path "workfront/info" {
  capabilities = ["read"]
}

# See which sessions are lent out, and end all of them. Vault asks for "sudo" on these paths.
path "sys/leases/lookup/workfront/token/*" {
  capabilities = ["list", "sudo"]
}

path "sys/leases/revoke-prefix/workfront/token" {
  capabilities = ["update", "sudo"]
}
