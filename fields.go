package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// The names of fields, in requests and answers.
const (
	fieldAccessToken     = "access_token"
	fieldAllowCustomHost = "allow_custom_host"
	fieldAPIVersion      = "api_version"
	fieldBaseURL         = "base_url"
	fieldBuildDate       = "build_date"
	fieldCACert          = "ca_cert"
	fieldCauses          = "causes"
	fieldCertificate     = "certificate"
	fieldCertificateTTL  = "certificate_ttl"
	fieldClientID        = "client_id"
	fieldClientSecret    = "client_secret"
	fieldCommit          = "commit"
	fieldCommonName      = "common_name"
	fieldCreatedAt       = "created_at"
	fieldCustomerID      = "customer_id"
	fieldDescription     = "description"
	fieldExpiresAt       = "expires_at"
	fieldFailedStep      = "failed_step"
	fieldFingerprint     = "fingerprint_sha256"
	fieldID              = "id"
	fieldIssuedAt        = "issued_at"
	fieldJWTTTL          = "jwt_ttl"
	fieldKey             = "key"
	fieldKeyBits         = "key_bits"
	fieldKeys            = "keys"
	fieldKeyInfo         = "key_info"
	fieldLeases          = "leases"
	fieldMaxRetries      = "max_retries"
	fieldMaxTTL          = "max_ttl"
	fieldName            = "name"
	fieldNotAfter        = "not_after"
	fieldNotBefore       = "not_before"
	fieldOK              = "ok"
	fieldPrivateKey      = "private_key"
	fieldPublicKey       = "public_key"
	fieldRequestTimeout  = "request_timeout"
	fieldRole            = "role"
	fieldSessionID       = "session_id"
	fieldSessionTTL      = "session_ttl"
	fieldShareSession    = "share_session"
	fieldSource          = "source"
	fieldState           = "state"
	fieldStated          = "end_stated"
	fieldTokenType       = "token_type"
	fieldTTL             = "ttl"
	fieldUsedBy          = "used_by"
	fieldUserID          = "user_id"
	fieldVerify          = "verify_connection"
	fieldVersion         = "version"
)

// Limits of what is accepted, in bytes.
const (
	maxIDLength         = 256
	maxSecretLength     = 4 << 10
	maxPEMLength        = 64 << 10
	maxCommonNameLength = 64 // X.520, ub-common-name
	maxNameLength       = 48
)

// maxDuration bounds every duration, so that sums of them cannot overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

// badField says what is wrong with a field. It never quotes the value.
func badField(name, format string, args ...any) error {
	return &userError{name + " " + fmt.Sprintf(format, args...)}
}

// A setter takes the value of one field from a request. nil puts the default back.
type setter func(value any) error

// checkTypes checks that what was sent for a path can be read as what its fields are. The framework would do it, too, but it
// quotes the value, which may be a secret, and leaves it at the words of the parser.
func checkTypes(fields map[string]*framework.FieldSchema, data map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(data)) {
		schema, known := fields[name]
		if !known || data[name] == nil {
			continue
		}
		if schema.Type == framework.TypeDurationSecond {
			if _, err := wholeSeconds(name, data[name]); err != nil {
				return err
			}
			continue
		}
		d := framework.FieldData{Raw: data, Schema: fields}
		if _, _, err := d.GetOkErr(name); err == nil {
			continue
		}
		switch schema.Type {
		case framework.TypeInt:
			return badField(name, "must be a whole number")
		case framework.TypeBool:
			return badField(name, "must be true or false")
		default:
			return badField(name, "must be text")
		}
	}
	return nil
}

// merge hands the fields that a request holds to their setters, in the order of their names; the others keep their
// values. Only a patch may hold null, as JSON merge patch has it (RFC 7396).
func merge(req *logical.Request, d *framework.FieldData, setters map[string]setter) error {
	for _, name := range slices.Sorted(maps.Keys(setters)) {
		raw, sent := d.Raw[name]
		if !sent {
			continue
		}
		if raw == nil {
			if req.Operation != logical.PatchOperation {
				return badField(name, "is null, which only a patch understands; leave the field out to keep its value, "+
					"or put its default back with `echo '{%q: null}' | vault patch %s%s -`", name, req.MountPoint, req.Path)
			}
			if err := setters[name](nil); err != nil {
				return err
			}
			continue
		}
		value := d.Get(name)
		if d.Schema[name].Type == framework.TypeDurationSecond {
			var err error
			if value, err = wholeSeconds(name, raw); err != nil {
				return err
			}
		}
		if err := setters[name](value); err != nil {
			return err
		}
	}
	return nil
}

// wholeSeconds reads a duration. The framework rounds it down to seconds without a word: 500ms to 0, the default.
func wholeSeconds(name string, raw any) (time.Duration, error) {
	if f, ok := raw.(float64); ok && f != math.Trunc(f) {
		return 0, badField(name, "must be a whole number of seconds")
	}
	value, err := parseutil.ParseDurationSecond(raw)
	if err != nil {
		return 0, badField(name, "is no duration; write it like 90s, 15m or 1h")
	}
	if value < 0 {
		return 0, badField(name, "must not be negative; write it like 90s, 15m or 1h")
	}
	if value%time.Second != 0 {
		return 0, badField(name, "must be a whole number of seconds; write it like 90s, 15m or 1h")
	}
	if value > maxDuration {
		return 0, badField(name, "is longer than ten years; write it like 90s, 15m or 1h")
	}
	return value, nil
}

// setText takes printable text of at most maxLength bytes. An empty value is the default, unless one is required.
func setText(name string, target *string, maxLength int, required bool) setter {
	return func(value any) error {
		text, _ := value.(string)
		switch {
		case text == "" && required:
			return badField(name, "must not be empty")
		case len(text) > maxLength:
			return badField(name, "is longer than %d characters; check it for a slip in pasting", maxLength)
		case !utf8.ValidString(text) || strings.ContainsFunc(text, isControl):
			return badField(name, "holds a line break or another control character; check how it was passed "+
				"(a value read by @file ends in a line break if the file does)")
		case text != strings.TrimSpace(text):
			return badField(name, "begins or ends with a space; remove it")
		}
		*target = text
		return nil
	}
}

// isControl finds what forges lines of a log, moves the cursor of a terminal or turns text round: the control characters of
// ASCII and of ISO 6429 (C1), Unicode's line ends and its marks of direction.
func isControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// setDuration takes a duration between low and high. 0 is accepted only if low is 0.
func setDuration(name string, target *time.Duration, low, high time.Duration) setter {
	return func(value any) error {
		duration, set := value.(time.Duration)
		if set && (duration < low || duration > high) {
			return badField(name, "must be between %s and %s", short(low), short(high))
		}
		*target = duration
		return nil
	}
}

// setInt takes a number between low and high.
func setInt(name string, target **int, low, high int) setter {
	return func(value any) error {
		n, set := value.(int)
		switch {
		case !set:
			*target = nil
		case n < low || n > high:
			return badField(name, "must be between %d and %d", low, high)
		default:
			*target = &n
		}
		return nil
	}
}

func setBool(target *bool) setter {
	return func(value any) error {
		*target, _ = value.(bool)
		return nil
	}
}

// setOptionalBool tells false from what was never said.
func setOptionalBool(target **bool) setter {
	return func(value any) error {
		*target = nil
		if b, set := value.(bool); set {
			*target = &b
		}
		return nil
	}
}

// short writes a duration without its zero units.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// nameFormat is what keys and roles may be called. It leaves out all that means something in a path. The SDK's
// framework.GenericNameRegex would let a..b through, and any length.
var nameFormat = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// checkName checks the name of a key or a role, given in field.
func checkName(field, name string) error {
	if len(name) > maxNameLength {
		return badField(field, "is longer than %d characters; choose a shorter name", maxNameLength)
	}
	if !nameFormat.MatchString(name) {
		return badField(field, "must consist of letters, digits, _, - and single dots inside")
	}
	return nil
}
