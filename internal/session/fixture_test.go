package session_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
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

// fixture is a Broker between a storage that counts and fails on demand, and a stand-in for Workfront.
type fixture struct {
	t       *testing.T
	clock   *workfronttest.Clock
	server  *workfronttest.Server
	storage *faultyStorage
	options session.Options // of its brokers
	broker  *session.Broker
	source  session.Source
}

func newFixture(t *testing.T) *fixture { return newFixtureWithTTL(t, 30*time.Minute) }

// newFixtureWithTTL makes a fixture whose Workfront lets sessions live that long.
func newFixtureWithTTL(t *testing.T, sessionTTL time.Duration) *fixture {
	t.Helper()
	c := workfronttest.NewClock()
	server, err := workfronttest.Start(workfronttest.Options{Now: c.Now, SessionTTL: sessionTTL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	app, err := server.CreateApplication()
	if err != nil {
		t.Fatal(err)
	}
	user := workfronttest.User{ID: workfronttest.NewID(), Name: "Integration"}
	if err := server.AddUser(user); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&signingKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if _, err := server.AddPublicKey(app.ClientID, user.ID, public); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clock: c, server: server, storage: newFaultyStorage()}
	f.options = session.Options{Now: c.Now, Logger: hclog.NewNullLogger()}
	f.broker = f.newBroker()
	f.source = session.Source{
		Endpoint:       ledger.Endpoint{BaseURL: server.URL(), CACert: server.CACert(), APIVersion: "v22.0"},
		ClientID:       app.ClientID,
		ClientSecret:   app.ClientSecret,
		CustomerID:     app.CustomerID,
		UserID:         user.ID,
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

// wantEmptyLedger checks that nothing of any session is left in storage.
func (f *fixture) wantEmptyLedger() {
	f.t.Helper()
	keys, err := logical.CollectKeys(f.t.Context(), f.storage.Storage)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, key := range keys {
		if key != "maintenance" {
			f.t.Errorf("left in storage: %s", key)
		}
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("did not come about: %s", what)
		}
	}
}

var errStorage = errors.New("storage is broken")

// faultyStorage counts its calls, and fails on demand.
type faultyStorage struct {
	logical.Storage
	calls    atomic.Int64
	readOnly atomic.Bool
	failGets atomic.Bool
	// writesLeft is how many writes succeed before the others fail; negative: all succeed.
	writesLeft atomic.Int64
	writes     atomic.Int64
	// afterWrite fails a write that was carried out all the same, as a connection that breaks does.
	afterWrite atomic.Bool
}

func newFaultyStorage() *faultyStorage {
	s := &faultyStorage{Storage: &logical.InmemStorage{}}
	s.heal()
	return s
}

func (s *faultyStorage) heal() {
	s.readOnly.Store(false)
	s.failGets.Store(false)
	s.writesLeft.Store(-1)
	s.afterWrite.Store(false)
}

func (s *faultyStorage) write(do func() error) error {
	s.calls.Add(1)
	s.writes.Add(1)
	if s.readOnly.Load() {
		return logical.ErrReadOnly
	}
	if s.writesLeft.Load() == 0 {
		if s.afterWrite.Load() {
			_ = do()
		}
		return errStorage
	}
	if s.writesLeft.Load() > 0 {
		s.writesLeft.Add(-1)
	}
	return do()
}

func (s *faultyStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.write(func() error { return s.Storage.Put(ctx, e) })
}

func (s *faultyStorage) Delete(ctx context.Context, key string) error {
	return s.write(func() error { return s.Storage.Delete(ctx, key) })
}

func (s *faultyStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.calls.Add(1)
	if s.failGets.Load() {
		return nil, errStorage
	}
	return s.Storage.Get(ctx, key)
}

func (s *faultyStorage) List(ctx context.Context, prefix string) ([]string, error) {
	s.calls.Add(1)
	if s.failGets.Load() {
		return nil, errStorage
	}
	return s.Storage.List(ctx, prefix)
}

// put writes around the faults, to prepare a test.
func (s *faultyStorage) put(t *testing.T, key, value string) {
	t.Helper()
	if err := s.Storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

func pointer(s string) *string { return &s }

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
