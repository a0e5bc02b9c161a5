locals {
  keys = setunion([var.key], var.keys, compact([for role in values(var.roles) : role.key]))

  # As Vault returns it: without the text around the certificates, which files of CAs often have.
  ca_cert = join("", [
    for pem in regexall("(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", replace(var.ca_cert, "\r", "")) : "${pem}\n"
  ])
}

# Another path is another mount. The provider would move the mount with its keys, and generating them again would fail.
resource "terraform_data" "path" {
  input = var.path
}

resource "vault_mount" "workfront" {
  path           = var.path
  type           = var.plugin
  plugin_version = var.plugin_version
  description    = "Sessions of Adobe Workfront"

  lifecycle {
    replace_triggered_by = [terraform_data.path]
  }
}

# A key is generated once, and never read back or deleted here: it goes with the mount.
resource "vault_generic_endpoint" "key" {
  for_each = local.keys

  path           = "${vault_mount.workfront.path}/keys/${each.key}/generate"
  data_json      = "{}"
  disable_read   = true
  disable_delete = true
  write_fields   = ["certificate"]
}

# Every setting is sent, because a setting that is not sent keeps its value. Vault never returns client_secret: the
# provider keeps what was sent, and ignores the absence. Vault keeps config when client_secret becomes null, such as by a
# variable of the environment that was forgotten: it goes with the mount.
resource "vault_generic_endpoint" "config" {
  count = nonsensitive(var.client_secret != null) ? 1 : 0

  path                 = "${vault_mount.workfront.path}/config"
  disable_delete       = true
  ignore_absent_fields = true
  data_json = jsonencode({
    base_url          = var.base_url
    client_id         = var.client_id
    client_secret     = var.client_secret
    customer_id       = var.customer_id
    user_id           = var.user_id
    key               = var.key
    ttl               = var.ttl
    max_ttl           = var.max_ttl
    share_session     = var.share_session
    ca_cert           = local.ca_cert
    allow_custom_host = var.allow_custom_host
  })

  depends_on = [vault_generic_endpoint.key]
}

resource "vault_generic_endpoint" "role" {
  for_each = var.roles

  path                 = "${vault_mount.workfront.path}/roles/${each.key}"
  ignore_absent_fields = true
  data_json            = jsonencode(merge(each.value, { share_session = coalesce(each.value.share_session, var.share_session) }))

  depends_on = [vault_generic_endpoint.config, vault_generic_endpoint.key]
}

# One policy for each role. Its holder can read tokens of that role, and renew and revoke leases whose IDs they know. A
# role's name holds no slash, so no other mount and role give the same name. It exists while the role does.
resource "vault_policy" "reader" {
  for_each = var.roles

  name   = lower("${var.path}/${each.key}")
  policy = <<-EOT
    path "${var.path}/token/${each.key}" {
      capabilities = ["read"]
    }

    path "sys/leases/renew" {
      capabilities = ["update"]
    }

    path "sys/leases/revoke" {
      capabilities = ["update"]
    }
  EOT

  depends_on = [vault_generic_endpoint.role]
}
