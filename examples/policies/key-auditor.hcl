# Who watches the signing keys: names, certificates and their end, and what uses them. Changes nothing.
path "workfront/keys" {
  capabilities = ["list"]
}

path "workfront/keys/+" {
  capabilities = ["read"]
}

path "workfront/info" {
  capabilities = ["read"]
}
