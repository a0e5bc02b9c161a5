package check_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const mount settings.Mount = "workfront/"

// fixture is the settings and the broker of a mount, and the Workfront that they are for.
type fixture struct {
	*workfronttest.Integration
	t           *testing.T
	clock       *workfronttest.Clock
	storage     logical.Storage
	store       *settings.Store
	broker      *session.Broker
	checker     *check.Checker
	fingerprint string // the stand-in's, of the public key
}

// newFixture returns one by which a token can be read, with changes to its config.
func newFixture(t *testing.T, changes settings.Changes) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: workfronttest.NewClock(), storage: &logical.InmemStorage{}}
	var err error
	if f.Integration, err = workfronttest.StartIntegration(workfronttest.Options{Now: f.clock.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.fingerprint = f.upload(testKey())
	f.store = settings.New(settings.Options{Now: f.clock.Now})
	f.broker = session.NewBroker(session.Options{
		Now: f.clock.Now, Logger: hclog.NewNullLogger(), Trust: f.store.Trust,
	})
	f.checker = &check.Checker{
		Broker: f.broker, Now: f.clock.Now,
		Wait: func(context.Context, time.Duration) error { return nil },
	}
	f.importKey("default", testKey())
	f.config(settings.Changes{
		settings.FieldBaseURL: f.URL(), settings.FieldClientID: f.App.ClientID,
		settings.FieldClientSecret: f.App.ClientSecret, settings.FieldCustomerID: f.App.CustomerID,
		settings.FieldUserID: f.User.ID, settings.FieldCACert: f.CACert(), settings.FieldAllowCustomHost: true,
	})
	f.config(changes)
	return f
}

func (f *fixture) config(changes settings.Changes) {
	f.t.Helper()
	_, err := f.store.WriteConfig(f.t.Context(), f.storage, mount, settings.ConfigWrite{Changes: changes})
	if err != nil {
		f.t.Fatal(err)
	}
}

// move changes what only those may change who know the client secret.
func (f *fixture) move(changes settings.Changes) {
	f.t.Helper()
	changes[settings.FieldClientSecret] = f.App.ClientSecret
	f.config(changes)
}

func (f *fixture) importKey(name string, key *signingkey.Key) {
	f.t.Helper()
	private, err := key.PrivatePEM()
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = f.store.ImportKey(f.t.Context(), f.storage, name, private, key.CertificatePEM(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
}

// upload adds a certificate to the application's public keys, as an administrator does in Workfront's Setup.
func (f *fixture) upload(key *signingkey.Key) (fingerprint string) {
	f.t.Helper()
	fingerprint, err := f.Upload(key.CertificatePEM())
	if err != nil {
		f.t.Fatal(err)
	}
	return fingerprint
}

func (f *fixture) behave(change func(*workfronttest.Behaviour)) {
	b := workfronttest.DefaultBehaviour()
	change(&b)
	f.SetBehaviour(b)
}

// testKey is a key pair made once for all tests.
var testKey = sync.OnceValue(func() *signingkey.Key {
	key, err := signingkey.Generate(2048, signingkey.Certification{
		CommonName: "test", Now: time.Now(), TTL: 365 * 24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	return key
})

func (f *fixture) check(r check.Request) *check.Result {
	f.t.Helper()
	r.Storage = f.storage
	if r.Mount == "" {
		r.Mount = mount
	}
	found, err := f.checker.Run(f.t.Context(), r)
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}

// step returns the text of a step.
func step(t *testing.T, found *check.Result, name string) string {
	t.Helper()
	for _, s := range found.Steps {
		if s.Name == name {
			return s.Text
		}
	}
	t.Fatalf("there is no step %s", name)
	return ""
}

// wantOK checks that every step went well.
func wantOK(t *testing.T, found *check.Result) {
	t.Helper()
	if found.FailedStep != "" || len(found.Causes) != 0 {
		t.Errorf("got %+v, want ok and no causes", found)
	}
	for i, s := range check.Steps() {
		if got := found.Steps[i]; got.Name != s.Name || !strings.HasPrefix(got.Text, "ok (") {
			t.Errorf("%s: got %+v, want ok", s.Name, got)
		}
	}
}

// wantFailure runs a check that has to fail at that step, with that first cause, and returns all causes.
func (f *fixture) wantFailure(r check.Request, failed, first string) []string {
	f.t.Helper()
	found := f.check(r)
	if found.FailedStep != failed || len(found.Causes) == 0 {
		f.t.Fatalf("got %+v, want a failure of %s", found, failed)
	}
	if !strings.Contains(found.Causes[0], first) {
		f.t.Errorf("first cause: got %q, want one that holds %q", found.Causes[0], first)
	}
	reached := true
	for i, s := range check.Steps() {
		want := "not reached"
		switch {
		case s.Name == failed:
			want, reached = "failed: ", false
		case reached:
			want = "ok ("
		}
		if got := found.Steps[i]; got.Name != s.Name || !strings.HasPrefix(got.Text, want) {
			f.t.Errorf("%s: got %+v, want %q", s.Name, got, want)
		}
	}
	return found.Causes
}

// wantNothingLeft checks that no session is alive: a logout that is pending is retried first.
func (f *fixture) wantNothingLeft() {
	f.t.Helper()
	f.SetBehaviour(workfronttest.DefaultBehaviour())
	f.clock.Advance(time.Minute)
	if err := f.broker.Maintain(f.t.Context(), f.storage); err != nil {
		f.t.Fatal(err)
	}
	if stats := f.Stats(); stats.Alive != 0 {
		f.t.Errorf("sessions left behind: got %d, want none", stats.Alive)
	}
}
