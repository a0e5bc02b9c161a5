# Vault's policy "default" lets the job revoke its own token at its end.
path "workfront/token/reports" {
  capabilities = ["read"]
}
