package settings_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
)

// unreadables are ways in which an entry cannot be read. %s is what it held.
var unreadables = []struct {
	name, value string
	newer       bool
	mark        string
}{
	{"no JSON", "marked", false, "damaged"},
	{"null", "null", false, "damaged"},
	{"of no version", `{"key":"marked"}`, false, "damaged"},
	{"of a version that is no number", `{"version":"marked"}`, false, "damaged"},
	{"a field of another type", `{"version":1,"user_id":{"marked":1},"private_key":{"marked":1}}`, false, "damaged"},
	{"newer", `{"version":2,"user_id":{"marked":1}}`, true, "newer version"},
}

// wantUnreadable checks that an error names the entry and quotes nothing of it, and that its remedy is a command for
// the mount.
func wantUnreadable(t *testing.T, err error, key string, newer bool) {
	t.Helper()
	var unreadable *settings.UnreadableError
	if !errors.As(err, &unreadable) {
		t.Errorf("got error %v, want an UnreadableError", err)
		return
	}
	text := err.Error() + unreadable.Remedy("my mount/")
	if unreadable.Key != key || (unreadable.Newer > 0) != newer || !strings.Contains(text, key) || strings.Contains(text, "marked") {
		t.Errorf("got %+v: %s; want it to name %s, newer %t", unreadable, text, key, newer)
	}
	if want := "vault delete 'my mount/" + key + "'"; !strings.Contains(text, want) {
		t.Errorf("got %q, want it to hold %q", text, want)
	}
}

func has(warnings []string, part string) bool {
	return slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, part) })
}

// A role that cannot be read stops nobody but its readers, and keys from being deleted that it may use.
func TestUnreadableRole(t *testing.T) {
	for _, u := range unreadables {
		t.Run(u.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.importKey("spare")
			f.writeRole("other", nil)
			f.put("roles/r", u.value)
			ctx := t.Context()

			_, err := f.Resolve(ctx, f.storage, mount, "r")
			wantUnreadable(t, err, "roles/r", u.newer)
			_, err = f.Role(ctx, f.storage, "r")
			wantUnreadable(t, err, "roles/r", u.newer)
			_, err = f.WriteRole(ctx, f.storage, mount, "r", settings.RoleWrite{Patch: true})
			wantUnreadable(t, err, "roles/r", u.newer)
			if there, err := f.RoleExists(ctx, f.storage, "r"); err != nil || !there {
				t.Errorf("exists: got %t, %v; want true", there, err)
			}
			if shares, err := f.Shares(ctx, f.storage, "r"); err != nil || !shares {
				t.Errorf("shares: got %t, %v; want true, so that nothing is ended", shares, err)
			}
			if names, err := f.Roles(ctx, f.storage); err != nil || len(names) != 2 {
				t.Errorf("roles: got %v, %v; want both", names, err)
			}

			f.resolve("other")
			f.importKey("another")
			f.write(settings.Changes{settings.FieldTTL: time.Minute})
			key, err := f.Key(ctx, f.storage, "default")
			if want := []string{"config", "roles/r (" + u.mark + ")"}; err != nil || !slices.Equal(key.UsedBy, want) {
				t.Errorf("key: got %v, %v; want it used by %v", key, err, want)
			}
			_, err = f.DeleteKey(ctx, f.storage, mount, "spare")
			wantInputError(t, err, "spare", "roles/r", "`vault delete workfront/roles/r`")

			if u.newer {
				_, err = f.WriteRole(ctx, f.storage, mount, "r", settings.RoleWrite{})
				wantUnreadable(t, err, "roles/r", true)
				if got := f.value("roles/r"); got != u.value {
					t.Errorf("a newer entry was written over: %s", got)
				}
				if err := f.DeleteRole(ctx, f.storage, "r"); err != nil {
					t.Errorf("delete: %v", err)
				}
			} else if warnings := f.writeRole("r", nil); !has(warnings, "was damaged and has been replaced") {
				t.Errorf("warnings: got %q", warnings)
			}
			if deleted, err := f.DeleteKey(ctx, f.storage, mount, "spare"); err != nil || !deleted {
				t.Errorf("delete key: got %t, %v; want it deleted", deleted, err)
			}
		})
	}
}

// A key that cannot be read can be deleted by its owner, and stops nobody but who signs with it.
func TestUnreadableKey(t *testing.T) {
	entries := append([]struct {
		name, value string
		newer       bool
		mark        string
	}{
		{"no private key", `{"version":1,"private_key":"marked","certificate":"marked"}`, false, ""},
		{"no certificate", `{"version":1,"private_key":%s,"certificate":"marked"}`, false, ""},
	}, unreadables...)
	private, err := testKeys()[0].PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range entries {
		t.Run(u.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.importKey("good")
			f.writeRole("good", settings.Changes{settings.FieldKey: "good"})
			f.put("keys/default", strings.Replace(u.value, "%s", fmt.Sprintf("%q", private), 1))
			ctx := t.Context()

			_, err := f.Resolve(ctx, f.storage, mount, "")
			wantUnreadable(t, err, "keys/default", u.newer)
			_, err = f.Key(ctx, f.storage, "default")
			wantUnreadable(t, err, "keys/default", u.newer)
			_, err = f.ImportKey(ctx, f.storage, "default", private, "", nil)
			wantInputError(t, err, "keys/default", "delete it first")

			f.resolve("good")
			if names, err := f.Keys(ctx, f.storage); err != nil || len(names) != 2 {
				t.Errorf("keys: got %v, %v; want both", names, err)
			}
			if key, err := f.Key(ctx, f.storage, "good"); err != nil || len(key.UsedBy) != 1 {
				t.Errorf("another key: got %v, %v", key, err)
			}
			for name, warnings := range map[string][]string{
				"config": f.write(settings.Changes{settings.FieldTTL: time.Minute}),
				"role":   f.writeRole("r", settings.Changes{settings.FieldKey: "default"}),
			} {
				if !has(warnings, "`vault delete workfront/keys/default`") {
					t.Errorf("%s: warnings: got %q, want the command that mends it", name, warnings)
				}
			}

			if u.newer { // the version that wrote it can still sign with it
				_, err = f.DeleteKey(ctx, f.storage, mount, "default")
				wantInputError(t, err, "in use by config")
				f.write(settings.Changes{settings.FieldKey: "good"})
				f.writeRole("r", settings.Changes{settings.FieldKey: nil})
			}
			if deleted, err := f.DeleteKey(ctx, f.storage, mount, "default"); err != nil || !deleted {
				t.Errorf("delete: got %t, %v; want it deleted", deleted, err)
			}
		})
	}
}

func TestUnreadableConfig(t *testing.T) {
	whole := settings.Changes{
		settings.FieldBaseURL: "https://other.my.workfront.com", settings.FieldClientID: "c", settings.FieldClientSecret: "s",
		settings.FieldCustomerID: "cu", settings.FieldUserID: "u",
	}
	for _, u := range unreadables {
		t.Run(u.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.importKey("spare")
			f.writeRole("r", nil)
			f.put("config", u.value)
			ctx := t.Context()

			_, err := f.Resolve(ctx, f.storage, mount, "r")
			wantUnreadable(t, err, "config", u.newer)
			_, err = f.Config(ctx, f.storage)
			wantUnreadable(t, err, "config", u.newer)
			_, err = f.WriteConfig(ctx, f.storage, mount, settings.ConfigWrite{Patch: true, Changes: whole})
			wantUnreadable(t, err, "config", u.newer)
			if there, err := f.ConfigExists(ctx, f.storage); err != nil || !there {
				t.Errorf("exists: got %t, %v; want true", there, err)
			}
			for _, role := range []string{"", "r"} {
				if shares, err := f.Shares(ctx, f.storage, role); err != nil || !shares {
					t.Errorf("%q shares: got %t, %v; want true, so that nothing is ended", role, shares, err)
				}
			}
			f.writeRole("r", settings.Changes{settings.FieldTTL: time.Minute})
			if key, err := f.Key(ctx, f.storage, "spare"); err != nil || !slices.Equal(key.UsedBy, []string{"config (" + u.mark + ")"}) {
				t.Errorf("key: got %v, %v", key, err)
			}
			_, err = f.DeleteKey(ctx, f.storage, mount, "spare")
			wantInputError(t, err, "spare", "config", "`vault delete workfront/config`")

			_, err = f.WriteConfig(ctx, f.storage, mount, settings.ConfigWrite{Changes: whole})
			if u.newer {
				wantUnreadable(t, err, "config", true)
				if got := f.value("config"); got != u.value {
					t.Errorf("a newer entry was written over: %s", got)
				}
				if err := f.DeleteConfig(ctx, f.storage); err != nil {
					t.Errorf("delete: %v", err)
				}
				return
			}
			if err != nil || f.resolve("r").Source.ClientID != "c" {
				t.Errorf("written anew: %v", err)
			}
			if _, err := f.DeleteKey(ctx, f.storage, mount, "spare"); err != nil {
				t.Errorf("delete key: %v", err)
			}
		})
	}
}
