package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

var start = time.Unix(1_800_000_000, 0).UTC()

// soon is how long after its expiry a session is found in the past at the latest.
const soon = 10 * time.Minute

func newSession(token string) *ledger.Session {
	return ledger.NewSession(ledger.Session{
		Token: token, Endpoint: ledger.Endpoint{BaseURL: "https://acme.my.workfront.com"},
		IssuedAt: start, ExpiresAt: start.Add(time.Hour), Stated: true, Lease: ledger.NewOwnLease(),
	})
}

// unleased is newSession without a lease.
func unleased(token string) *ledger.Session {
	return changed(newSession(token), func(s *ledger.Session) { s.Lease = ledger.LeaseID{} })
}

func changed(s *ledger.Session, change func(*ledger.Session)) *ledger.Session {
	c := *s
	change(&c)
	return &c
}

func anySession(*ledger.Session) bool { return true }

// mount is a ledger on a scripted storage. Its methods fail the test where the ledger returns an error.
type mount struct {
	ledger.View
	t       testing.TB
	storage *storagetest.Storage
}

func newMount(t testing.TB) *mount {
	s := storagetest.New()
	return &mount{ledger.New().In(s), t, s}
}

// restarted is the mount in a new process: what memory held is lost.
func (m *mount) restarted() *mount { return &mount{ledger.New().In(m.storage), m.t, m.storage} }

// over is the mount with another storage, but the same memory.
func (m *mount) over(s *storagetest.Storage) *mount { return &mount{m.In(s), m.t, m.storage} }

func (m *mount) hold(id string, do func(h *ledger.Held)) {
	m.t.Helper()
	h, err := m.Hold(m.t.Context(), id)
	if err != nil {
		m.t.Fatalf("hold: %v", err)
	}
	defer h.Release()
	do(h)
}

func (m *mount) record(s *ledger.Session) {
	m.t.Helper()
	m.hold(s.ID(), func(h *ledger.Held) { m.ok(h.Record(m.t.Context(), s)) })
}

// share is record for a session that memory keeps, as the current one of a shared role, until Drop.
func (m *mount) share(s *ledger.Session) {
	m.t.Helper()
	m.Keep(s.ID())
	m.record(s)
}

func (m *mount) attach(id string) ledger.LeaseID {
	m.t.Helper()
	s, lease, err := m.Attach(m.t.Context(), id, anySession)
	if s == nil || err != nil {
		m.t.Fatalf("attach: got session %v, %v", s, err)
	}
	return lease
}

// refuses fails the test if the session gets another lease.
func (m *mount) refuses(id, why string) {
	m.t.Helper()
	if s, lease, err := m.Attach(m.t.Context(), id, anySession); s != nil || err != nil {
		m.t.Errorf("attach to a session that %s: got lease %q, %v; want none", why, lease, err)
	}
}

// attachAtOnce adds n leases at once; all that fit into a page share it. It is for a bubble of synctest.
func (m *mount) attachAtOnce(id string, n int) []ledger.LeaseID {
	m.t.Helper()
	leases := make([]ledger.LeaseID, n)
	var group sync.WaitGroup
	gate := storagetest.NewGate()
	m.storage.Script(storagetest.Rule{On: storagetest.Put, Prefix: "lease/", Then: gate.Hold})
	first := make(chan ledger.LeaseID, 1)
	go func() { first <- m.attach(id) }()
	<-gate.Reached
	var joined sync.WaitGroup
	joined.Add(n)
	for i := range leases {
		group.Go(func() {
			_, lease, err := m.Attach(m.t.Context(), id, func(*ledger.Session) bool { joined.Done(); return true })
			if err != nil {
				m.t.Error(err)
			}
			leases[i] = lease
		})
	}
	joined.Wait()
	gate.Open()
	group.Wait()
	m.storage.Script()
	m.detach(id, <-first, ledger.DetachedStored)
	return leases
}

func (m *mount) detach(id string, lease ledger.LeaseID, want ledger.Detached) {
	m.t.Helper()
	if got, err := m.Detach(m.t.Context(), id, lease); err != nil || got != want {
		m.t.Errorf("detach %s: got %d, %v; want %d", lease, got, err, want)
	}
}

// end logs the session out, as far as the ledger takes part in it. It reports whether that was begun.
func (m *mount) end(id string, how ledger.End) (began bool) {
	m.t.Helper()
	m.hold(id, func(h *ledger.Held) {
		var err error
		if began, err = h.BeginEnd(m.t.Context(), how); err != nil {
			m.t.Fatalf("begin the end: %v", err)
		}
		if began {
			h.SetLoggedOut()
			m.ok(h.Remove(m.t.Context()))
		}
	})
	return began
}

// finish does what maintenance does with the releases that memory knows of.
func (m *mount) finish() {
	m.t.Helper()
	for _, id := range m.Unfinished() {
		m.hold(id, func(h *ledger.Held) { m.ok(h.Finish(m.t.Context())) })
	}
}

func (m *mount) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// keys are those in storage that begin with one of the prefixes.
func (m *mount) keys(prefixes ...string) []string {
	m.t.Helper()
	return slices.DeleteFunc(m.storage.Keys(m.t), func(key string) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
	})
}

// wantLeases checks how many leases a session has in storage.
func (m *mount) wantLeases(id string, want int) {
	m.t.Helper()
	s, err := m.Get(m.t.Context(), id)
	m.ok(err)
	got := 0
	if s != nil {
		got, err = m.Leases(m.t.Context(), s)
		m.ok(err)
	}
	if got != want {
		m.t.Errorf("leases in storage: got %d, want %d", got, want)
	}
}

// wantEmpty checks that nothing is left, in memory or in storage, but those keys.
func (m *mount) wantEmpty(but ...string) {
	m.t.Helper()
	if n := m.Len(); n != 0 {
		m.t.Errorf("sessions left in memory: %d", n)
	}
	left := slices.DeleteFunc(m.storage.Keys(m.t), func(key string) bool {
		return key == "maintenance" || slices.ContainsFunc(but, func(p string) bool { return strings.HasPrefix(key, p) })
	})
	if len(left) != 0 {
		m.t.Errorf("left in storage: %v", left)
	}
}

// sweep does what maintenance does with the expiry index at that time, for sessions that are in the past.
func (m *mount) sweep(now time.Time) {
	m.t.Helper()
	buckets, err := m.ExpiredBuckets(m.t.Context(), now)
	m.ok(err)
	for _, b := range buckets {
		ids, err := m.InBucket(m.t.Context(), b)
		m.ok(err)
		for _, id := range ids {
			m.hold(id, func(h *ledger.Held) {
				if h.Session() != nil {
					began, err := h.BeginEnd(m.t.Context(), ledger.End{Regardless: true, Owed: true})
					m.ok(err)
					if !began {
						m.t.Error("a session past its expiry is not ended")
					}
					m.ok(h.Remove(m.t.Context()))
				}
				m.ok(m.DropLeases(m.t.Context(), id))
				m.ok(m.DropExpiry(m.t.Context(), b, id))
			})
		}
	}
}

// costs are the calls to storage of an operation.
func (m *mount) costs(do func()) string {
	ops := []storagetest.Op{storagetest.Get, storagetest.List, storagetest.Put, storagetest.Delete}
	before := make([]int, len(ops))
	for i, op := range ops {
		before[i] = m.storage.Calls(op)
	}
	do()
	var made []string
	for i, op := range ops {
		if n := m.storage.Calls(op) - before[i]; n > 0 {
			made = append(made, fmt.Sprintf("%c%d", "GLPD"[i], n))
		}
	}
	return strings.Join(made, " ")
}

// later keeps writes whose callers have given them up. They can be carried out afterwards.
type later struct {
	mu     sync.Mutex
	writes []func()
}

// Keep is the action that has a call hang until its caller gives it up, and keeps the call.
func (l *later) Keep(ctx context.Context, _ storagetest.Call, next storagetest.Next) error {
	l.mu.Lock()
	l.writes = append(l.writes, func() { _ = next(context.WithoutCancel(ctx)) })
	l.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// take returns what was kept.
func (l *later) take() []func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	writes := l.writes
	l.writes = nil
	return writes
}

// arrive carries out what was kept.
func (l *later) arrive() {
	for _, write := range l.take() {
		write()
	}
}

func once(on storagetest.Op, prefix string, then storagetest.Action) storagetest.Rule {
	return storagetest.Rule{On: on, Prefix: prefix, Times: 1, Then: then}
}

// started runs do in a goroutine, and returns what it has returned so far; all that can go on has gone on.
func started(do func() error) (result func() (err error, returned bool)) {
	var returned atomic.Bool
	var err error
	go func() { err = do(); returned.Store(true) }()
	return func() (error, bool) {
		synctest.Wait()
		if !returned.Load() {
			return nil, false
		}
		return err, true
	}
}

func (m *mount) detaching(ctx context.Context, id string, lease ledger.LeaseID) func() (error, bool) {
	return started(func() error { _, err := m.Detach(ctx, id, lease); return err })
}

func isTimeout(err error) bool {
	var timeout *ledger.TimeoutError
	return errors.As(err, &timeout)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
