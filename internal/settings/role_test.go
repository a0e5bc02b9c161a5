package settings_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
)

// Unset role fields inherit from config.
func TestRoleOverConfig(t *testing.T) {
	f := newFixture(t, nil)
	f.importKey("spare")
	before := f.resolve("")
	f.writeRole("none", nil)
	f.writeRole("all", settings.Changes{
		settings.FieldUserID: "0123456789abcdef0123456789abcdef", settings.FieldKey: "spare", settings.FieldTTL: 2 * time.Minute,
		settings.FieldMaxTTL: 3 * time.Minute, settings.FieldShareSession: true,
	})
	if r := f.resolve("none"); r.Source.UserID != before.Source.UserID || r.KeyName != before.KeyName || r.TTL != before.TTL {
		t.Errorf("a role without settings: got %s, %s, %s; want those of config", r.Source.UserID, r.KeyName, r.TTL)
	}
	r := f.resolve("all")
	if r.Source.UserID != "0123456789abcdef0123456789abcdef" || r.KeyName != "spare" || r.TTL != 2*time.Minute ||
		r.MaxTTL != 3*time.Minute || !r.Source.Shared {
		t.Errorf("a role with settings: got %s, %s, %s, %s, shared %t; want its own",
			r.Source.UserID, r.KeyName, r.TTL, r.MaxTTL, r.Source.Shared)
	}
	for role, want := range map[string]bool{"": false, "none": false, "all": true, "absent": false} {
		if got, err := f.Shares(t.Context(), f.storage, role); err != nil || got != want {
			t.Errorf("role %q shares its session: got %t, %v; want %t", role, got, err, want)
		}
	}
	_, err := f.WriteRole(t.Context(), f.storage, mount, "r", settings.RoleWrite{Changes: settings.Changes{settings.FieldKey: "a..b"}})
	wantInputError(t, err, settings.FieldKey, "must consist of")
}
