# Vault Agent keeps a file with a living session up to date.
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

template {
  destination          = "/run/workfront/session.json"
  perms                = "0640"
  error_on_missing_key = true
  contents             = <<-EOT
    {{- with secret "workfront/token/reports" -}}
    {
      "base_url": {{ .Data.base_url | toJSON }},
      "access_token": {{ .Data.access_token | toJSON }},
      "expires_at": {{ .Data.expires_at | toJSON }}
    }
    {{- end }}
  EOT
}
