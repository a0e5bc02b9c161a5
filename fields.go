package main

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// The names of fields, in requests and answers, that settings do not name.
const (
	fieldAccessToken  = "access_token"
	fieldBuildDate    = "build_date"
	fieldCauses       = "causes"
	fieldCommit       = "commit"
	fieldCreatedAt    = "created_at"
	fieldError        = "error"
	fieldPendingSince = "logout_pending_since"
	fieldExpiresAt    = "expires_at"
	fieldFailedStep   = "failed_step"
	fieldFIPS140      = "fips140"
	fieldGoVersion    = "go_version"
	fieldFingerprint  = "fingerprint_sha256"
	fieldID           = "id"
	fieldIssuedAt     = "issued_at"
	fieldKeys         = "keys"
	fieldKeyInfo      = "key_info"
	fieldLeases       = "leases"
	fieldNotAfter     = "not_after"
	fieldNotBefore    = "not_before"
	fieldObservations = "observations"
	fieldObserve      = "observe"
	fieldOK           = "ok"
	fieldPublicKey    = "public_key"
	fieldRole         = "role"
	fieldSessionID    = "session_id"
	fieldSource       = "source"
	fieldState        = "state"
	fieldStated       = "end_stated"
	fieldTokenType    = "token_type"
	fieldUsedBy       = "used_by"
	fieldVerify       = "verify_connection"
	fieldVersion      = "version"
)

// checkTypes checks that what was sent for a path can be read as what its fields are. The framework would do it, too,
// but it quotes the value, which may be a secret, and leaves it at the words of the parser.
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
			return settings.BadField(name, "must be a whole number")
		case framework.TypeBool:
			return settings.BadField(name, "must be true or false")
		default:
			return settings.BadField(name, "must be text")
		}
	}
	return nil
}

// decode returns the fields of settings that a request holds. Only a patch may hold null, as JSON merge patch has it
// (RFC 7396).
func decode(req *logical.Request, d *framework.FieldData) (settings.Changes, error) {
	changes := settings.Changes{}
	for _, name := range slices.Sorted(maps.Keys(d.Schema)) {
		raw, sent := d.Raw[name]
		switch {
		case !sent:
			continue
		case raw == nil && req.Operation != logical.PatchOperation:
			return nil, settings.BadField(name, "is null, which only a patch understands; leave the field out to keep its value, "+
				"or reset it to its default with `echo '{%q: null}' | vault patch %s -`", name, mountOf(req).Path(req.Path))
		case raw == nil:
			changes[name] = nil
		case d.Schema[name].Type == framework.TypeDurationSecond:
			duration, err := wholeSeconds(name, raw)
			if err != nil {
				return nil, err
			}
			changes[name] = duration
		default:
			changes[name] = d.Get(name)
		}
	}
	return changes, nil
}

// mountOf returns the mount that a request came in by, for the commands that hints print.
func mountOf(req *logical.Request) settings.Mount { return settings.Mount(req.MountPoint) }

// wholeSeconds reads a duration. The framework rounds it down to seconds without a word: 500ms to 0, the default.
func wholeSeconds(name string, raw any) (time.Duration, error) {
	if f, ok := raw.(float64); ok && f != math.Trunc(f) {
		return 0, settings.BadField(name, "must be a whole number of seconds")
	}
	value, err := parseutil.ParseDurationSecond(raw)
	if err != nil {
		return 0, settings.BadField(name, "is no duration; write it like 90s, 15m or 1h")
	}
	if value < 0 {
		return 0, settings.BadField(name, "must not be negative; write it like 90s, 15m or 1h")
	}
	if value%time.Second != 0 {
		return 0, settings.BadField(name, "must be a whole number of seconds; write it like 90s, 15m or 1h")
	}
	if value > settings.MaxDuration {
		return 0, settings.BadField(name, "is longer than ten years; write it like 90s, 15m or 1h")
	}
	return value, nil
}
