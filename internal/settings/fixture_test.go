package settings_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

const mount settings.Mount = "workfront/"

// fixture is a Store that is configured, with a key called default.
type fixture struct {
	*settings.Store
	t       *testing.T
	storage *storagetest.Storage
	now     time.Time
}

// newFixture returns a Store; generate may be nil.
func newFixture(t *testing.T, generate func(int, signingkey.Certification) (*signingkey.Key, error)) *fixture {
	t.Helper()
	// What is written arrives, though its client has left. A test writes a script over that.
	detached := storagetest.New(storagetest.Rule{On: storagetest.Writes, Then: storagetest.Detach})
	f := &fixture{t: t, storage: storagetest.Over(detached), now: time.Now()}
	f.Store = settings.New(settings.Options{Now: func() time.Time { return f.now }, Generate: generate})
	f.importKey("default")
	f.write(settings.Changes{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "client", settings.FieldClientSecret: "first",
		settings.FieldCustomerID: "customer", settings.FieldUserID: "user",
	})
	return f
}

// testKeys are made once for all tests.
var testKeys = sync.OnceValue(func() []*signingkey.Key {
	keys := make([]*signingkey.Key, 2)
	for i := range keys {
		key, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "test", Now: time.Now(), TTL: 100 * 24 * time.Hour})
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func (f *fixture) importKey(name string) { f.t.Helper(); f.importAs(name, testKeys()[0]) }

func (f *fixture) importAs(name string, key *signingkey.Key) {
	f.t.Helper()
	private, err := key.PrivatePEM()
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.ImportKey(f.t.Context(), f.storage, name, private, key.CertificatePEM(), nil); err != nil {
		f.t.Fatalf("import key %s: %v", name, err)
	}
}

func (f *fixture) write(c settings.Changes) []string {
	f.t.Helper()
	warnings, err := f.WriteConfig(f.t.Context(), f.storage, mount, settings.ConfigWrite{Changes: c})
	if err != nil {
		f.t.Fatalf("write config: %v", err)
	}
	return warnings
}

func (f *fixture) writeRole(name string, c settings.Changes) []string {
	f.t.Helper()
	warnings, err := f.WriteRole(f.t.Context(), f.storage, mount, name, settings.RoleWrite{Changes: c})
	if err != nil {
		f.t.Fatalf("write role %s: %v", name, err)
	}
	return warnings
}

func (f *fixture) resolve(role string) *settings.Resolved {
	f.t.Helper()
	r, err := f.Resolve(f.t.Context(), f.storage, mount, role)
	if err != nil {
		f.t.Fatalf("resolve %q: %v", role, err)
	}
	return r
}

// put writes an entry as it is.
func (f *fixture) put(key, value string) {
	f.t.Helper()
	f.storage.Set(f.t, key, value)
}

// value returns an entry as it is, "" if there is none.
func (f *fixture) value(key string) string {
	f.t.Helper()
	return f.storage.Value(f.t, key)
}

// replace changes an entry behind the Store's back, as another node does.
func (f *fixture) replace(key, old, text string) {
	f.t.Helper()
	value := f.value(key)
	if !strings.Contains(value, old) {
		f.t.Fatalf("%s does not hold %q: %s", key, old, value)
	}
	f.put(key, strings.Replace(value, old, text, 1))
}

// wantInputError checks that an error is an *InputError that holds each of parts.
func wantInputError(t *testing.T, err error, parts ...string) {
	t.Helper()
	var input *settings.InputError
	if !errors.As(err, &input) {
		t.Errorf("got error %v, want an InputError", err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to hold %q", err, part)
		}
	}
}

func wantBusy(t *testing.T, err error, part string) {
	t.Helper()
	var busy *settings.BusyError
	if !errors.As(err, &busy) || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want a BusyError that holds %q", err, part)
	}
}
