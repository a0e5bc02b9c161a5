# The address and token of Vault come from VAULT_ADDR and VAULT_TOKEN, the client secret from TF_VAR_client_secret.
terraform {
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.0"
    }
  }
}

variable "client_secret" {
  type      = string
  default   = null
  sensitive = true
}

module "workfront" {
  source = "../"

  base_url      = "https://acme.my.workfront.com"
  client_id     = "54d2a6b1c3f7485e9f0b1d2c3e4f5a6b"
  client_secret = var.client_secret
  customer_id   = "61e8c0a9b7d64f3c8a2b5d4e6f708192"
  user_id       = "77f1d3b5a9c84e2d9b6a4c5d7e8f9012"

  roles = {
    reports = { description = "nightly reports", ttl = 600, max_ttl = 3600 }
    sync    = { share_session = true }
  }
}

output "certificate" {
  value = module.workfront.certificate
}
