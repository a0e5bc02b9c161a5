# Who sets the mount up: config, keys and roles, but no tokens. What is secret in them cannot be read back by anyone.
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

path "workfront/roles" {
  capabilities = ["list"]
}

path "workfront/roles/+" {
  capabilities = ["create", "read", "update", "patch", "delete"]
}

# Starts a session and logs it out again; its token is not shown.
path "workfront/check" {
  capabilities = ["update"]
}

# See the sessions that live, without their tokens, and log one out.
path "workfront/sessions" {
  capabilities = ["list"]
}

path "workfront/sessions/+" {
  capabilities = ["read", "delete"]
}

# Find the session of a token that has leaked. The token is sent, so leave access_token out of the mount's
# audit_non_hmac_request_keys.
path "workfront/sessions/lookup" {
  capabilities = ["update"]
}

path "workfront/info" {
  capabilities = ["read"]
}

# See which leases there are, and end all of them, or those of a role. Vault asks for "sudo" on these paths.
path "sys/leases/lookup/workfront/token/*" {
  capabilities = ["list", "sudo"]
}

path "sys/leases/revoke-prefix/workfront/token" {
  capabilities = ["update", "sudo"]
}

path "sys/leases/revoke-prefix/workfront/token/+" {
  capabilities = ["update", "sudo"]
}
