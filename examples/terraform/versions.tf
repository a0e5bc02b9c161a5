terraform {
  required_version = ">= 1.5" # OpenTofu: 1.6

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.0"
    }
  }
}
