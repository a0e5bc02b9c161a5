package settings_test

import (
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
)

// The values at the limits of what config takes, and those beside them.
func TestConfigRules(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes settings.Changes
		refused []string // field, and what the error says; none if it is taken
	}{
		{"shortest jwt_ttl", settings.Changes{settings.FieldJWTTTL: 30 * time.Second}, nil},
		{"longest jwt_ttl", settings.Changes{settings.FieldJWTTTL: 10 * time.Minute}, nil},
		{"jwt_ttl too short", settings.Changes{settings.FieldJWTTTL: 29 * time.Second}, []string{settings.FieldJWTTTL, "30s"}},
		{"jwt_ttl too long", settings.Changes{settings.FieldJWTTTL: 601 * time.Second}, []string{settings.FieldJWTTTL, "10m"}},
		{
			"jwt_ttl of a request", settings.Changes{settings.FieldJWTTTL: 40 * time.Second, settings.FieldRequestTimeout: 40 * time.Second}, nil,
		},
		{
			"jwt_ttl shorter than a request",
			settings.Changes{settings.FieldJWTTTL: 40 * time.Second, settings.FieldRequestTimeout: 41 * time.Second},
			[]string{settings.FieldJWTTTL, "must not be shorter than request_timeout"},
		},
		{"ttl of max_ttl", settings.Changes{settings.FieldTTL: time.Minute, settings.FieldMaxTTL: time.Minute}, nil},
		{
			"ttl longer than max_ttl",
			settings.Changes{settings.FieldTTL: 61 * time.Second, settings.FieldMaxTTL: time.Minute},
			[]string{settings.FieldTTL, "must not be longer than max_ttl"},
		},
		{"name of a key", settings.Changes{settings.FieldKey: "a..b"}, []string{settings.FieldKey, "must consist of"}},
		{"API version", settings.Changes{settings.FieldAPIVersion: "22"}, []string{settings.FieldAPIVersion, "v22.0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			_, err := f.WriteConfig(t.Context(), f.storage, mount, settings.ConfigWrite{Changes: tt.changes})
			if tt.refused != nil {
				wantInputError(t, err, tt.refused...)
			} else if err != nil {
				t.Errorf("got %v, want it to be taken", err)
			}
		})
	}
}

// A write without user_id is taken, and says what that means.
func TestConfigWithoutUser(t *testing.T) {
	f := newFixture(t, nil)
	for user, want := range map[string]bool{"": true, "0123456789abcdef0123456789abcdef": false} {
		warned := false
		for _, w := range f.write(settings.Changes{settings.FieldUserID: user}) {
			warned = warned || strings.Contains(w, "No user_id is set")
		}
		if warned != want {
			t.Errorf("user_id %q: warned %t, want %t", user, warned, want)
		}
	}
}
