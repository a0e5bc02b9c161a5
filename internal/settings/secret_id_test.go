package settings_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

func (f *fixture) secretID() string {
	f.t.Helper()
	var stored struct {
		SecretID string `json:"secret_id"`
	}
	if err := json.Unmarshal([]byte(f.value("config")), &stored); err != nil || stored.SecretID == "" {
		f.t.Fatalf("secret_id: got %q, %v", stored.SecretID, err)
	}
	return stored.SecretID
}

// What config trusts is kept in memory, and dropped like the rest.
func TestTrust(t *testing.T) {
	f := newFixture(t, nil)
	trust := func() *session.Trust {
		t.Helper()
		got, err := f.Trust(t.Context(), f.storage)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := trust()
	want := session.Trust{
		BaseURL: "https://acme.my.workfront.com", SecretID: f.secretID(), APIVersion: "v22.0",
		MaxConnections: settings.DefaultMaxConnections,
	}
	if *first != want {
		t.Errorf("got %+v, want %+v", *first, want)
	}
	if trust() != first {
		t.Error("it is not kept")
	}
	f.write(settings.Changes{settings.FieldClientSecret: "second"})
	if got := trust(); got.SecretID != f.secretID() || got.SecretID == first.SecretID {
		t.Errorf("after a write: got %+v, want what is stored now", got)
	}
	f.write(settings.Changes{settings.FieldAPIVersion: "v21.0"})
	if got := trust(); got.APIVersion != "v21.0" {
		t.Errorf("API version: got %q, want the configured one", got.APIVersion)
	}
	if err := f.DeleteConfig(t.Context(), f.storage); err != nil {
		t.Fatal(err)
	}
	if got := trust(); got != nil {
		t.Errorf("after the deletion: got %+v, want nothing", got)
	}
	for name, value := range map[string]string{"damaged": "damaged", "newer": `{"version":99}`} {
		f.put("config", value)
		f.Invalidate("config")
		if got := trust(); got != nil { // sessions can be logged out all the same
			t.Errorf("%s: got %+v, want nothing", name, got)
		}
	}
	f.storage.Script(storagetest.Rule{On: storagetest.Get, Then: storagetest.Fail(storagetest.ErrBroken)})
	if _, err := f.Trust(t.Context(), f.storage); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("when storage fails: got %v, want %v", err, storagetest.ErrBroken)
	}
}

// The ID of the client secret is another one whenever the secret becomes another one or config is created, and stays
// otherwise.
func TestSecretID(t *testing.T) {
	f := newFixture(t, nil)
	whole := settings.Changes{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "client", settings.FieldClientSecret: "first",
		settings.FieldCustomerID: "customer", settings.FieldUserID: "user",
	}
	seen := map[string]bool{f.secretID(): true}
	for _, step := range []struct {
		name    string
		do      func()
		another bool
	}{
		{"another field", func() { f.write(settings.Changes{settings.FieldTTL: time.Minute}) }, false},
		{"the same secret", func() { f.write(whole) }, false},
		{"another host with the same secret", func() {
			f.write(settings.Changes{settings.FieldBaseURL: "https://other.my.workfront.com", settings.FieldClientSecret: "first"})
		}, false},
		{"another secret", func() { f.write(settings.Changes{settings.FieldClientSecret: "second"}) }, true},
		{"the first secret again", func() { f.write(settings.Changes{settings.FieldClientSecret: "first"}) }, true},
		{"created again", func() {
			if err := f.DeleteConfig(t.Context(), f.storage); err != nil {
				t.Fatal(err)
			}
			f.write(whole)
		}, true},
		{"a damaged one written anew", func() { f.put("config", "damaged"); f.write(whole) }, true},
		{"one of a version without", func() { f.replace("config", "secret_id", "other_id"); f.write(nil) }, true},
	} {
		step.do()
		id := f.secretID()
		if another := !seen[id]; another != step.another {
			t.Errorf("%s: got another ID %t, want %t", step.name, another, step.another)
		}
		seen[id] = true
	}
}
