package session_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// fixture is a Broker between a storage that follows a script, and a stand-in for Workfront.
type fixture struct {
	t       *testing.T
	clock   *workfronttest.Clock
	server  *workfronttest.Integration
	storage *storagetest.Storage
	options session.Options // of its brokers
	broker  *session.Broker
	source  session.Source
}

func newFixture(t *testing.T) *fixture { return newFixtureWithTTL(t, 30*time.Minute) }

// newFixtureWithTTL makes a fixture whose Workfront lets sessions live that long.
func newFixtureWithTTL(t *testing.T, sessionTTL time.Duration) *fixture {
	t.Helper()
	c := workfronttest.NewClock()
	server, err := workfronttest.StartIntegration(workfronttest.Options{Now: c.Now, SessionTTL: sessionTTL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	der, err := x509.MarshalPKIXPublicKey(&signingKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if _, err := server.Upload(public); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clock: c, server: server, storage: storagetest.New()}
	// As it is but for the first session under these certificates.
	if err := ledger.New().In(f.storage).SetTrust(t.Context(), server.CACert()); err != nil {
		t.Fatal(err)
	}
	f.options = session.Options{Now: c.Now, Logger: hclog.NewNullLogger(), CheckAgain: time.Millisecond}
	f.broker = f.newBroker()
	f.source = session.Source{
		Endpoint:       ledger.Endpoint{BaseURL: server.URL(), CACert: server.CACert(), APIVersion: "v22.0"},
		ClientID:       server.App.ClientID,
		ClientSecret:   server.App.ClientSecret,
		CustomerID:     server.App.CustomerID,
		UserID:         server.User.ID,
		Signer:         workfront.NewSigner(signingKey()),
		JWTTTL:         3 * time.Minute,
		SessionTTL:     30 * time.Minute,
		RequestTimeout: 10 * time.Second,
		MaxConnections: 8,
	}
	return f
}

// newBroker returns what a restarted process would have: nothing in memory.
func (f *fixture) newBroker() *session.Broker { return session.NewBroker(f.options) }

func (f *fixture) issue() *session.Lease {
	f.t.Helper()
	lease, err := f.broker.Issue(f.t.Context(), f.storage, f.source)
	if err != nil {
		f.t.Fatalf("issue: %v", err)
	}
	return lease
}

func (f *fixture) release(l *session.Lease) {
	f.t.Helper()
	if err := f.broker.Release(f.t.Context(), f.storage, l.LeaseRef); err != nil {
		f.t.Fatalf("release: %v", err)
	}
}

func (f *fixture) maintain() {
	f.t.Helper()
	if err := f.broker.Maintain(f.t.Context(), f.storage); err != nil {
		f.t.Fatalf("maintain: %v", err)
	}
}

// expire runs maintenance twice: what has expired is ended once two runs say so.
func (f *fixture) expire() {
	f.t.Helper()
	f.maintain()
	f.maintain()
}

// behave changes what the documentation leaves open.
func (f *fixture) behave(change func(*workfronttest.Behaviour)) {
	b := workfronttest.DefaultBehaviour()
	change(&b)
	f.server.SetBehaviour(b)
}

func (f *fixture) wantAlive(l *session.Lease, want bool) {
	f.t.Helper()
	if got := f.server.SessionAlive(l.Token); got != want {
		f.t.Errorf("session alive at workfront: got %t, want %t", got, want)
	}
}

// wantState checks what the ledger says of the session; "" means that it must hold nothing.
func (f *fixture) wantState(l *session.Lease, want ledger.State) {
	f.t.Helper()
	record, err := f.broker.Session(f.t.Context(), f.storage, l.SessionID)
	if err != nil {
		f.t.Fatal(err)
	}
	var got ledger.State
	if record != nil {
		got = record.State
	}
	if got != want {
		f.t.Errorf("state in the ledger: got %q, want %q", got, want)
	}
}

// wantEmptyLedger checks that nothing of any session is left in storage. The CA certificates that sessions name stay.
func (f *fixture) wantEmptyLedger() {
	f.t.Helper()
	for _, key := range f.storage.Keys(f.t) {
		if key != "maintenance" && !strings.HasPrefix(key, "trust/") {
			f.t.Errorf("left in storage: %s", key)
		}
	}
}

// writesFail has all writes fail after so many.
func writesFail(after int) storagetest.Rule { return failingWrites(after, false) }

func failingWrites(after int, carriedOut bool) storagetest.Rule {
	fail := storagetest.Fail
	if carriedOut {
		fail = storagetest.FailLate
	}
	return storagetest.Rule{On: storagetest.Writes, Skip: after, Then: fail(storagetest.ErrBroken)}
}

var readsFail = storagetest.Rule{On: storagetest.Reads, Then: storagetest.Fail(storagetest.ErrBroken)}

func pointer(s string) *string { return &s }

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
