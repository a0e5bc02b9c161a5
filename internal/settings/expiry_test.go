package settings_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// expiring returns a Store whose key default has a certificate that expires in ten days, and many roles with keys of
// their own.
func expiring(t *testing.T, roles int) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	f.now = testKeys()[0].Certificate.NotAfter.Add(-10 * 24 * time.Hour)
	for i := range roles {
		name := fmt.Sprintf("k%d", i)
		f.importKey(name)
		f.writeRole(name, settings.Changes{settings.FieldKey: name})
	}
	return f
}

// watch runs the watch and returns whom it told of.
func (f *fixture) watch() (told []string, err error) {
	found, err := f.WatchExpiry(f.t.Context(), f.storage)
	for _, e := range found.Expiring {
		told = append(told, e.Name)
	}
	for _, u := range found.Unreadable {
		told = append(told, u.Error())
	}
	return told, err
}

func TestExpiryWatch(t *testing.T) {
	f := expiring(t, 0)
	f.importKey("unused")
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{0, []string{"default"}}, {time.Minute, nil}, {23 * time.Hour, nil}, {time.Hour, []string{"default"}},
	} {
		f.now = f.now.Add(step.after)
		if got, err := f.watch(); err != nil || !slices.Equal(got, step.want) {
			t.Errorf("after %s: got %v, %v; want %v", step.after, got, err, step.want)
		}
	}
}

// A fault of storage does not silence the watch for a day, and nobody is told twice because of it.
func TestExpiryWatchAfterAFault(t *testing.T) {
	for _, faulty := range []storagetest.Call{
		{Op: storagetest.Get, Key: "config"},
		{Op: storagetest.List, Key: "roles/"},
		{Op: storagetest.Get, Key: "roles/k1"},
		{Op: storagetest.Get, Key: "keys/k0"},
		{Op: storagetest.Get, Key: "keys/default"},
	} {
		t.Run(faulty.Key, func(t *testing.T) {
			f := expiring(t, 2)
			f.storage.Script(storagetest.Rule{
				On: faulty.Op, Prefix: faulty.Key, Then: storagetest.Fail(storagetest.ErrBroken),
			})
			first, err := f.watch()
			if !errors.Is(err, storagetest.ErrBroken) {
				t.Errorf("got %v, want %v", err, storagetest.ErrBroken)
			}
			if name, ofKey := strings.CutPrefix(faulty.Key, "keys/"); ofKey && (len(first) != 2 || slices.Contains(first, name)) {
				t.Errorf("told of %v, want the two others", first)
			}
			f.storage.Script()
			f.now = f.now.Add(time.Minute)
			second, err := f.watch()
			if all := slices.Sorted(slices.Values(append(first, second...))); err != nil || !slices.Equal(all, []string{"default", "k0", "k1"}) {
				t.Errorf("told of %v, then %v, %v; want each once", first, second, err)
			}
		})
	}
}

// A key that vanishes, and settings that cannot be read, do not end the round for the others.
func TestExpiryWatchGoesOn(t *testing.T) {
	f := expiring(t, 3)
	f.put("keys/k0", "damaged")
	f.put("roles/k1", "damaged")
	f.storage.Script(storagetest.Rule{
		On: storagetest.Get, Prefix: "keys/default", Times: 1, // its users are known already
		Then: storagetest.First(func() {
			if err := f.storage.Delete(t.Context(), "keys/default"); err != nil {
				t.Error(err)
			}
		}),
	})
	got, err := f.watch()
	if want := []string{"k2", "roles/k1 is damaged in storage", "keys/k0 is damaged in storage"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	f.now = f.now.Add(time.Minute)
	if got, err := f.watch(); err != nil || got != nil {
		t.Errorf("a minute later: got %v, %v; want nothing", got, err)
	}
}

// Each role is read once, however many keys there are.
func TestExpiryWatchReadsEachRoleOnce(t *testing.T) {
	const roles = 5
	f := expiring(t, roles)
	before := f.storage.Calls(storagetest.Any)
	if got, err := f.watch(); err != nil || len(got) != roles+1 {
		t.Fatalf("got %v, %v", got, err)
	}
	// config, the list of roles, the roles, their keys and config's.
	calls := f.storage.Calls(storagetest.Any) - before
	if want := 2 + roles + roles + 1; calls != want {
		t.Errorf("storage calls: got %d, want %d", calls, want)
	}
}

func TestExpiryText(t *testing.T) {
	notAfter := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		left time.Duration
		want string
	}{
		{31 * 24 * time.Hour, ""},
		{30 * 24 * time.Hour, "expires at 2027-01-02T03:04:05Z, in 30 days"},
		{25 * time.Hour, "in 1 day."},
		{time.Hour, "within a day"},
		{0, "expired at 2027-01-02T03:04:05Z"},
	} {
		if got := settings.ExpiryText("k", notAfter, notAfter.Add(-tt.left)); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s before: got %q, want %q", tt.left, got, tt.want)
		}
	}
}

// A certificate of somebody else's is not warned of, but what a write names is.
func TestWarningsOfAWrite(t *testing.T) {
	f := expiring(t, 0)
	for name, warnings := range map[string][]string{
		"config": f.write(nil),
		"role":   f.writeRole("r", settings.Changes{settings.FieldKey: "default"}),
	} {
		if !has(warnings, "expires at") {
			t.Errorf("%s: got %q, want a warning of the certificate", name, warnings)
		}
	}
	if warnings := f.writeRole("plain", nil); warnings != nil {
		t.Errorf("a role without a key: got %q, want none", warnings)
	}
}

// A scrape asks for them once a minute: what is known already is not read.
func TestExpiries(t *testing.T) {
	f := newFixture(t, nil)
	f.importKey("2027")
	f.put("keys/damaged", "no json")
	f.put("keys/newer", `{"version":99}`)
	var reads []string
	f.storage.Script(storagetest.Rule{
		On: storagetest.Get,
		Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
			reads = append(reads, c.Key)
			return next(ctx)
		},
	})
	want := func(when string, names, read []string) {
		t.Helper()
		reads = nil
		expiries, err := f.Expiries(t.Context(), f.storage)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(expiries)); !slices.Equal(got, names) {
			t.Errorf("%s: keys are %q, want %q", when, got, names)
		}
		for name, notAfter := range expiries {
			if want := testKeys()[0].Certificate.NotAfter; !notAfter.Equal(want) {
				t.Errorf("%s: %s expires at %s, want %s", when, name, notAfter, want)
			}
		}
		if slices.Sort(reads); !slices.Equal(reads, read) {
			t.Errorf("%s: read %q, want %q", when, reads, read)
		}
	}
	want("first", []string{"2027", "default"}, []string{"keys/2027", "keys/damaged", "keys/default", "keys/newer"})
	want("again", []string{"2027", "default"}, []string{"keys/damaged", "keys/newer"})
	f.put("keys/2028", f.value("keys/2027")) // by another node
	f.Invalidate("keys/2028")
	want("after a write", []string{"2027", "2028", "default"},
		[]string{"keys/2027", "keys/2028", "keys/damaged", "keys/default", "keys/newer"})
	f.storage.Script(storagetest.Rule{On: storagetest.Any, Then: storagetest.Fail(storagetest.ErrBroken)})
	if _, err := f.Expiries(t.Context(), f.storage); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the fault of storage", err)
	}
}
