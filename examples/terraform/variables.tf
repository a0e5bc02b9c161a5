# Vault stores what it is given in one form, and answers in that form. A value in another form would differ from it in
# every plan, so the checks below take that form alone. Names get into paths, and into the policies' HCL: the checks
# take what the plugin does, which needs no quoting in either.

variable "path" {
  description = "Path of the mount."
  type        = string
  default     = "workfront"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9_-]+(/[a-z0-9_-]+)*$", var.path))
    error_message = "path must consist of lower-case letters, digits, _ and -, with single slashes inside."
  }
}

variable "plugin" {
  description = "Name of the plugin in Vault's catalog."
  type        = string
  default     = "vault-plugin-secrets-workfront"
  nullable    = false
}

variable "plugin_version" {
  description = "Registered version of the plugin, such as v0.1.0; null takes the unversioned one, or else the newest."
  type        = string
  default     = null
}

variable "base_url" {
  description = "Address of your Workfront, such as https://acme.my.workfront.com."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+(:[1-9][0-9]*)?$", var.base_url)) && !endswith(var.base_url, ":443")
    error_message = "base_url must be https:// and a host in lower case, without a slash at its end and without port 443."
  }
}

variable "client_id" {
  description = "Client ID of the OAuth2 application."
  type        = string

  validation {
    condition     = var.client_id != "" && trimspace(var.client_id) == var.client_id
    error_message = "client_id must not be empty, and not begin or end with a blank."
  }
}

variable "client_secret" {
  description = "Client secret of the OAuth2 application. It gets into the state. Null leaves config to be written by hand."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.client_secret != "" && try(trimspace(var.client_secret) == var.client_secret, true)
    error_message = "client_secret must not be empty, and not begin or end with a blank or a line break."
  }
}

variable "customer_id" {
  description = "Customer ID of the OAuth2 application; not its Client ID."
  type        = string

  validation {
    condition     = var.customer_id != "" && trimspace(var.customer_id) == var.customer_id
    error_message = "customer_id must not be empty, and not begin or end with a blank."
  }
}

variable "user_id" {
  description = "ID of the Workfront user whose sessions are issued, where a role names none. Empty: every role has to name one."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = trimspace(var.user_id) == var.user_id && !strcontains(var.user_id, "/")
    error_message = "user_id must be the ID alone, not the URL of the user's page, and not begin or end with a blank."
  }
}

variable "key" {
  description = "Name of the signing key, where a role names none. Another name generates another key; the old one stays."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = length(var.key) <= 63 && can(regex("^[A-Za-z0-9_-]+([.@][A-Za-z0-9_-]+)*$", var.key))
    error_message = "key must consist of letters, digits, _ and -, with single dots and @ inside, 63 characters at most."
  }
}

variable "keys" {
  description = "Names of further signing keys to generate, such as the next one in a rotation."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for name in var.keys : length(name) <= 63 && can(regex("^[A-Za-z0-9_-]+([.@][A-Za-z0-9_-]+)*$", name))
    ])
    error_message = "keys must consist of letters, digits, _ and -, with single dots and @ inside, 63 characters at most."
  }
}

variable "ttl" {
  description = "Default TTL of a lease in seconds; 0 is the mount's."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.ttl >= 0 && floor(var.ttl) == var.ttl
    error_message = "ttl must be a whole number of seconds."
  }
}

variable "max_ttl" {
  description = "Maximum TTL of a lease in seconds; 0 is the mount's."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.max_ttl >= 0 && floor(var.max_ttl) == var.max_ttl
    error_message = "max_ttl must be a whole number of seconds."
  }
}

variable "share_session" {
  description = "Whether readers share a session, where a role does not say."
  type        = bool
  default     = false
  nullable    = false
}

variable "ca_cert" {
  description = "PEM certificates of CAs to trust besides those of the system; empty for none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition = (var.ca_cert == "" || strcontains(var.ca_cert, "-----BEGIN")) && (
      length(regexall("-----BEGIN", var.ca_cert)) == length(regexall(
        "-----BEGIN CERTIFICATE-----\\n(?:[A-Za-z0-9+/]{64}\\n)*[A-Za-z0-9+/=]{1,64}\\n-----END CERTIFICATE-----",
        replace(var.ca_cert, "\r", "")
      ))
    )
    error_message = "ca_cert must hold certificates alone, as PEM in lines of 64 characters beginning with -----BEGIN CERTIFICATE-----."
  }
}

variable "allow_custom_host" {
  description = "Permit a base_url outside Workfront's domains. The client secret is sent there."
  type        = bool
  default     = false
  nullable    = false
}

variable "roles" {
  description = "Roles by name. TTLs are seconds. What is left out is inherited from the variables above."
  type = map(object({
    user_id       = optional(string, "")
    key           = optional(string, "")
    ttl           = optional(number, 0)
    max_ttl       = optional(number, 0)
    share_session = optional(bool)
    description   = optional(string, "")
  }))
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for role in values(var.roles) : role.ttl >= 0 && floor(role.ttl) == role.ttl && role.max_ttl >= 0 && floor(role.max_ttl) == role.max_ttl
    ])
    error_message = "ttl and max_ttl of a role must be whole numbers of seconds."
  }

  validation {
    condition     = alltrue([for role in values(var.roles) : !strcontains(role.user_id, "/")])
    error_message = "user_id of a role must be the ID alone, not the URL of the user's page."
  }

  # They get into paths, and unquoted into the HCL of policies.
  validation {
    condition = alltrue([
      for name in concat(keys(var.roles), compact([for role in values(var.roles) : role.key])) :
      length(name) <= 63 && can(regex("^[A-Za-z0-9_-]+([.@][A-Za-z0-9_-]+)*$", name))
    ])
    error_message = "roles and their keys must be named with letters, digits, _ and -, with single dots and @ inside, 63 characters at most."
  }

  # Vault lower-cases the names of policies: Reports and reports would share one, that of the role written last.
  validation {
    condition     = length(distinct([for name in keys(var.roles) : lower(name)])) == length(keys(var.roles))
    error_message = "roles must differ by more than upper and lower case, because the names of their policies do not."
  }
}
