output "certificate" {
  description = "Certificate of the signing key, to be added in Workfront by the user with user_id."
  value       = vault_generic_endpoint.key[var.key].write_data["certificate"]
}

output "certificates" {
  description = "Certificates of all signing keys by name: those of roles are added by the users of these roles."
  value       = { for name, key in vault_generic_endpoint.key : name => key.write_data["certificate"] }
}

output "policies" {
  description = "Policies by role."
  value       = { for role, policy in vault_policy.reader : role => policy.name }
}
