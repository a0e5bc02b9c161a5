# Vault Agent runs a program with a living session in its environment, and starts it again with the next one.
vault {
  address = "https://vault.example.com:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "/etc/vault-agent/role-id"
      secret_id_file_path                 = "/etc/vault-agent/secret-id"
      remove_secret_id_file_after_reading = false # or Agent could not log in again after a restart
    }
  }

  # For `vault token revoke -self` when Agent stops: that logs the session out.
  sink "file" {
    config = {
      path = "/run/workfront/agent-token"
      mode = 0600
    }
  }
}

env_template "WORKFRONT_BASE_URL" {
  contents             = "{{ with secret \"workfront/token/reports\" }}{{ .Data.base_url }}{{ end }}"
  error_on_missing_key = true
}

env_template "WORKFRONT_ACCESS_TOKEN" {
  contents             = "{{ with secret \"workfront/token/reports\" }}{{ .Data.access_token }}{{ end }}"
  error_on_missing_key = true
}

exec {
  command                   = ["/etc/vault-agent/reports"]
  restart_on_secret_changes = "always"
  restart_stop_signal       = "SIGTERM"
}
