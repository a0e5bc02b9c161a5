package session_test

import (
	"context"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// otherCA returns the CA of a host that has nothing to do with the fixture's.
func otherCA(t *testing.T) string {
	t.Helper()
	other, err := workfronttest.Start(workfronttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	return other.CACert()
}

// configure makes brokers that are told this of the configuration, from now on.
func (f *fixture) configure(trust *session.Trust, err error) {
	f.options.Trust = func(context.Context, logical.Storage) (*session.Trust, error) { return trust, err }
	f.broker = f.newBroker()
}

// rewritten is the same certificate in other words.
func rewritten(caCert string) string {
	block, _ := pem.Decode([]byte(caCert))
	block.Headers = map[string]string{"Name": "gateway"}
	return "a comment\n" + string(pem.EncodeToMemory(block))
}

// Whom a session is sent to be logged out, once config and what the session pins say different things.
func TestWhoIsTrustedWithASession(t *testing.T) {
	const none = ""
	other := otherCA(t)
	tests := []struct {
		name               string
		pinned, configured func(good string) string // CA certificates; good is the one that Workfront's is signed by
		change             func(*session.Trust)
		sent               bool
	}{
		{"same secret: a CA that was added", of(other), good, nil, true},
		{"same secret: a CA that was removed", good, of(other), nil, false},
		{"same secret: all were removed", good, of(none), nil, false},
		{"same secret: the first one was added", of(none), good, nil, true},
		{"another secret: the CA is in both", good, good, anotherSecret, true},
		{"another secret: it is in both, among others", first(good, other), first(of(other), good), anotherSecret, true},
		{"another secret: it is in both, in other words", good, rewritten, anotherSecret, true},
		{"another secret: it was removed", good, of(other), anotherSecret, false},
		{"another secret: all were removed", good, of(none), anotherSecret, false},
		{"another secret: it was added", of(other), good, anotherSecret, false},
		{"another secret: it was added to none", of(none), good, anotherSecret, false},
		{"a secret without an ID: it was added", of(other), good, func(c *session.Trust) { c.SecretID = "" }, false},
		{"another host: what is pinned", good, of(other), anotherHost, true},
		{"another host: what is configured there", of(other), good, anotherHost, false},
	}
	for _, tt := range tests {
		for _, shared := range []bool{false, true} {
			t.Run(tt.name+sharedName(shared), func(t *testing.T) {
				f := newFixture(t)
				f.source.SecretID, f.source.Shared = "a", shared
				lease := f.issue()
				f.pin(lease.SessionID, tt.pinned(f.server.CACert()))
				trust := &session.Trust{BaseURL: f.server.URL(), CACert: tt.configured(f.server.CACert()), SecretID: "a"}
				if tt.change != nil {
					tt.change(trust)
				}
				f.configure(trust, nil)
				f.release(lease)
				f.wantAlive(lease, !tt.sent)
				if got := f.server.Stats().Logouts; (got > 0) != tt.sent {
					t.Errorf("logouts that arrived: %d, want some: %t", got, tt.sent)
				}
			})
		}
	}
}

func sharedName(shared bool) string {
	if shared {
		return ", shared"
	}
	return ""
}

func good(caCert string) string { return caCert }

func of(caCert string) func(string) string { return func(string) string { return caCert } }

func first(a func(string) string, b any) func(string) string {
	return func(g string) string {
		if other, ok := b.(string); ok {
			return a(g) + other
		}
		return a(g) + b.(func(string) string)(g)
	}
}

func anotherSecret(c *session.Trust) { c.SecretID = "another" }

func anotherHost(c *session.Trust) { c.BaseURL = "https://elsewhere.my.workfront.com" }

// pin changes what a session in storage pins.
func (f *fixture) pin(id, caCert string) {
	f.t.Helper()
	if err := ledger.New().In(f.storage).SetTrust(f.t.Context(), caCert); err != nil {
		f.t.Fatal(err)
	}
	f.edit("session/"+id, func(s map[string]any) { s["trust"] = ledger.TrustID(caCert) })
}

// The background check sends the session as well.
func TestRemovedCAIsNotTrustedByTheBackgroundCheck(t *testing.T) {
	f := newSharedFixture(t)
	f.source.SecretID = "a"
	f.configure(&session.Trust{BaseURL: f.server.URL(), CACert: otherCA(t), SecretID: "a"}, nil)
	f.issue()
	f.clock.Advance(2 * time.Minute)
	f.issue()
	f.broker.AwaitBackground()
	if got := f.server.Stats().APICalls; got != 0 {
		t.Errorf("calls with the session: got %d, want none to a host that only a removed CA vouches for", got)
	}
}

// Without a config, what the session pins counts. When that cannot be told, the session is not sent: the CA that vouches for the
// host may be one that was removed. Its logout is pending, and carried out when storage answers.
func TestTrustOfTheConfigurationIsUnknown(t *testing.T) {
	f := newFixture(t)
	f.configure(nil, nil)
	lease := f.issue()
	f.release(lease)
	f.wantAlive(lease, false)

	f.configure(nil, storagetest.ErrBroken)
	lease = f.issue()
	f.release(lease)
	f.wantAlive(lease, true)
	f.wantState(lease, ledger.StateEnding)
	f.configure(nil, nil)
	f.maintain()
	f.wantAlive(lease, false)
	f.wantEmptyLedger()
}

// Where the certificates that a session names cannot be had, only the system's roots count.
func TestTrustThatIsMissing(t *testing.T) {
	for name, spoil := range map[string]func(f *fixture, key string){
		"missing": func(f *fixture, key string) {
			if err := f.storage.Delete(f.t.Context(), key); err != nil {
				f.t.Fatal(err)
			}
		},
		"damaged": func(f *fixture, key string) { f.storage.Set(f.t, key, "damaged") },
		"of other certificates": func(f *fixture, key string) {
			f.storage.Set(f.t, key, strings.Replace(f.storage.Value(f.t, key), "MII", "MIJ", 1))
		},
		"newer": func(f *fixture, key string) { f.storage.Set(f.t, key, `{"version":99}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			lease := f.issue()
			key := "trust/" + ledger.TrustID(f.server.CACert())
			kept := f.storage.Value(t, key)
			spoil(f, key)
			f.broker = f.newBroker()
			f.release(lease)
			f.wantAlive(lease, true)
			f.wantState(lease, ledger.StateEnding)
			f.storage.Set(t, key, kept)
			f.clock.Advance(time.Minute)
			f.maintain()
			f.wantAlive(lease, false)
			f.wantEmptyLedger()
		})
	}
	t.Run("storage fails", func(t *testing.T) {
		f := newFixture(t)
		lease := f.issue()
		f.broker = f.newBroker()
		f.storage.Script(storagetest.Rule{On: storagetest.Get, Prefix: "trust/", Then: storagetest.Fail(storagetest.ErrBroken)})
		f.release(lease)
		f.storage.Script()
		f.wantState(lease, ledger.StateEnding)
		f.maintain()
		f.wantAlive(lease, false)
	})
}

// CA certificates are stored once, before the first session that names them, and not once for each session.
func TestTrustIsStoredOnce(t *testing.T) {
	f := newFixture(t)
	f.source.Endpoint.CACert += otherCA(t)
	key := "trust/" + ledger.TrustID(f.source.Endpoint.CACert)
	order := f.writes()
	lease := f.issue()
	if got := order(); len(got) != 3 || got[0] != key {
		t.Errorf("writes of the first session: got %q, want %s before two others", got, key)
	}
	for range 3 {
		if got := order(); len(got) != 0 {
			t.Errorf("unexpected writes: %q", got)
		}
		f.issue()
		if got := order(); len(got) != 2 || got[0] == key || got[1] == key {
			t.Errorf("writes of a further session: got %q, want two, and none of %s", got, key)
		}
	}
	if value := f.storage.Value(t, "session/"+lease.SessionID); strings.Contains(value, "CERTIFICATE") {
		t.Errorf("the session carries certificates: %s", value)
	}
	f.broker = f.newBroker() // finds it in storage
	f.issue()
	if got := order(); len(got) != 2 {
		t.Errorf("writes of another process: got %q, want two", got)
	}
	if err := f.storage.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	order()
	f.broker.Invalidate(key) // another node did so
	f.issue()
	if got := order(); len(got) != 3 || got[0] != key {
		t.Errorf("writes after it was lost: got %q, want %s before two others", got, key)
	}
}

// writes returns what tells the keys that were written since it was last asked.
func (f *fixture) writes() (since func() []string) {
	var keys []string
	f.storage.Script(storagetest.Rule{
		On: storagetest.Put,
		Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
			keys = append(keys, c.Key)
			return next(ctx)
		},
	})
	return func() []string {
		got := keys
		keys = nil
		return got
	}
}

// Without its trust a session could not be logged out, so none is started.
func TestNoSessionWithoutItsTrust(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f := newFixture(t)
		f.source.Shared = shared
		f.source.Endpoint.CACert += otherCA(t)
		f.storage.Script(storagetest.Rule{On: storagetest.Put, Prefix: "trust/", Then: storagetest.Fail(storagetest.ErrBroken)})
		if lease, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
			t.Errorf("shared %t: got lease %v, want the failure of storage", shared, lease)
		}
		f.wantExchanges(0)
		f.storage.Script()
		f.release(f.issue())
	}
}

// What a fault may have lost is written again.
func TestTrustIsWrittenAgainAfterAFault(t *testing.T) {
	f := newFixture(t)
	f.issue()
	if err := f.storage.Delete(t.Context(), "trust/"+ledger.TrustID(f.server.CACert())); err != nil {
		t.Fatal(err)
	}
	f.storage.Script(storagetest.Rule{On: storagetest.Put, Prefix: "session/", Then: storagetest.Fail(storagetest.ErrBroken)})
	if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
		t.Fatal("got no error")
	}
	f.storage.Script()
	lease := f.issue()
	f.broker = f.newBroker()
	f.release(lease)
	f.wantAlive(lease, false)
}

// The session of a trial carries its own certificates. Otherwise anyone who can try settings could fill storage with entries
// that stay.
func TestTrialLeavesNoTrust(t *testing.T) {
	f := newFixture(t)
	f.source.Endpoint.CACert += otherCA(t)
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	if _, err := trial.End(t.Context(), f.storage); !isA[*workfront.UnavailableError](err) {
		t.Fatalf("got %v, want the failure of the logout", err)
	}
	trusts := 0
	for _, key := range f.storage.Keys(t) {
		if strings.HasPrefix(key, "trust/") {
			trusts++
		}
	}
	if trusts != 1 {
		t.Errorf("trusts in storage: got %d, want that of the fixture alone", trusts)
	}
	f.server.ClearFaults()
	f.broker = f.newBroker()
	f.maintain()
	f.wantAccounted()
	if alive := f.server.Stats().Alive; alive != 0 {
		t.Errorf("sessions alive: got %d, want none", alive)
	}
	f.wantEmptyLedger()
}
