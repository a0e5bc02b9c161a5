# Vault Proxy gives programs on this machine sessions without a Vault token of their own, and each the same one: it
# caches the lease, and renews it.
vault {
  address = "https://vault.example.com:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "/etc/vault-agent/role-id"
      secret_id_file_path                 = "/etc/vault-agent/secret-id"
      remove_secret_id_file_after_reading = false # or Proxy could not log in again after a restart
    }
  }
}

api_proxy {
  use_auto_auth_token = true
}

cache {}

# Whoever can connect can read sessions: a Unix socket has permissions, a TCP port has none.
listener "unix" {
  address      = "/run/workfront/proxy.sock"
  socket_mode  = "0660"
  tls_disable  = true

  # A browser or a careless proxy on this machine cannot send this header.
  require_request_header = true
}
