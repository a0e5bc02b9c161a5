package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// observer keeps what it is told.
type observer struct {
	mu                 sync.Mutex
	exchanges, logouts []error
	refreshFailures    int
	gone               int
	failed             map[string][]error // exchanges, by role
}

func (o *observer) ExchangeFailed(role string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.failed = make(map[string][]error)
	}
	o.failed[role] = append(o.failed[role], err)
}

func (o *observer) ExchangeDone(err error, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.exchanges = append(o.exchanges, err)
}

func (o *observer) LogoutDone(err error, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logouts = append(o.logouts, err)
}

func (o *observer) RefreshFailed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refreshFailures++
}

func (o *observer) SessionGone() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone++
}

func (o *observer) failures() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refreshFailures
}

func observed(t *testing.T) (*fixture, *observer) {
	t.Helper()
	f, o := newFixture(t), &observer{}
	f.options.Observer = o
	f.broker = f.newBroker()
	return f, o
}

func TestObserverIsToldOfEachCall(t *testing.T) {
	f, o := observed(t)
	first, second := f.issue(), f.issue()
	wrong := f.source
	wrong.ClientSecret = "wrong"
	if _, err := f.broker.Issue(t.Context(), f.storage, wrong); err == nil {
		t.Fatal("a session was started with a wrong client secret")
	}
	f.release(first)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	f.release(second)
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	if len(o.exchanges) != 3 || o.exchanges[0] != nil || o.exchanges[1] != nil || !errors.As(o.exchanges[2], &refused) {
		t.Errorf("exchanges are %v, want two that succeeded and one that was refused", o.exchanges)
	}
	if len(o.logouts) != 2 || o.logouts[0] != nil || !errors.As(o.logouts[1], &unavailable) {
		t.Errorf("logouts are %v, want one that succeeded and one that failed", o.logouts)
	}
	if got := f.server.Stats(); got.Exchanges != len(o.exchanges) || got.Logouts != len(o.logouts) {
		t.Errorf("workfront counted %d exchanges and %d logouts, the observer %d and %d", got.Exchanges, got.Logouts,
			len(o.exchanges), len(o.logouts))
	}
}

func TestObserverIsToldOfAFailedRefresh(t *testing.T) {
	f, o := observed(t)
	f.source.Role, f.source.Shared, f.source.KeyFingerprint = "r", true, "made from this"
	f.issue()
	f.clock.Advance(25 * time.Minute)
	remove := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500})
	f.issue()
	await.That(t, "the refresh fails", func() bool { return o.failures() == 1 })
	remove()
	f.clock.Advance(10 * time.Second)
	f.issue()
	await.That(t, "a later read replaces the session", func() bool { return f.server.Stats().Started == 2 })
	f.settle()
	if got := o.failures(); got != 1 {
		t.Errorf("told of %d failed refreshes, want 1", got)
	}
}

func TestHosts(t *testing.T) {
	f := newFixture(t)
	if got := f.broker.Hosts(); len(got) != 0 {
		t.Errorf("got %v before the first call, want no host", got)
	}
	f.source.MaxConnections = 6
	unavailable := func(want bool) {
		t.Helper()
		hosts := f.broker.Hosts()
		if len(hosts) != 1 || hosts[0].BaseURL != f.server.URL() || hosts[0].Limit != 6 || hosts[0].Unavailable != want {
			t.Errorf("got %+v, want %s with 6 slots, unavailable %t", hosts, f.server.URL(), want)
		}
	}
	lease := f.issue()
	unavailable(false)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502})
	f.release(lease)
	unavailable(true)
	f.clock.Advance(15 * time.Second)
	unavailable(false)
}

// A count reads no session, so one whose entry is damaged stops nothing.
func TestCount(t *testing.T) {
	f := newFixture(t)
	f.leavePending()
	f.clock.Advance(time.Minute)
	f.issue()
	f.storage.Set(t, "session/"+f.issue().SessionID, damagedEntry)
	f.storage.Set(t, "pending/leads-nowhere", "{}")
	before := f.storage.Calls(storagetest.Any)
	got, err := f.broker.Count(t.Context(), f.storage)
	if want := (session.Counts{Active: 2, LogoutPending: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if calls := f.storage.Calls(storagetest.Any) - before; calls != 2 {
		t.Errorf("storage was called %d times, want two lists", calls)
	}
}
