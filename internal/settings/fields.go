package settings

import "time"

// The names of fields of config, roles and keys, in requests, answers and error messages.
const (
	FieldAllowCustomHost = "allow_custom_host"
	FieldAPIVersion      = "api_version"
	FieldBaseURL         = "base_url"
	FieldCACert          = "ca_cert"
	FieldCertificate     = "certificate"
	FieldCertificateTTL  = "certificate_ttl"
	FieldClientID        = "client_id"
	FieldClientSecret    = "client_secret"
	FieldCommonName      = "common_name"
	FieldCustomerID      = "customer_id"
	FieldDescription     = "description"
	FieldJWTTTL          = "jwt_ttl"
	FieldKey             = "key"
	FieldKeyBits         = "key_bits"
	FieldMaxConnections  = "max_connections"
	FieldMaxRetries      = "max_retries"
	FieldMaxTTL          = "max_ttl"
	FieldName            = "name"
	FieldPrivateKey      = "private_key"
	FieldRequestTimeout  = "request_timeout"
	FieldSessionTTL      = "session_ttl"
	FieldShareSession    = "share_session"
	FieldTTL             = "ttl"
	FieldUserID          = "user_id"
)

// Limits of what is accepted, in bytes.
const (
	maxIDLength         = 256
	maxSecretLength     = 4 << 10
	maxPEMLength        = 64 << 10
	maxCommonNameLength = 64 // X.520, ub-common-name
	maxNameLength       = 63
	maxURLLength        = 2 << 10 // of an address that an ID is taken from
)

// MaxDuration is the longest duration that any field accepts, so that sums of durations cannot overflow.
const MaxDuration = 10 * 365 * 24 * time.Hour
