package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// A shared session with many leases is logged out outside Vault. Readers do not wait until storage says so, and its leases are
// released as usual.
func TestReadersDoNotWaitForTheStateOfADeadSession(t *testing.T) {
	f := newSharedFixture(t)
	var leases []*session.Lease
	for range 100 {
		leases = append(leases, f.issue())
	}
	f.server.EndSession(leases[0].Token)
	f.clock.Advance(time.Minute)
	gate := storagetest.NewGate()
	slow := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Prefix: "session/" + leases[0].SessionID, Times: 1, Then: gate.Hold,
	})
	last, err := f.broker.Issue(t.Context(), slow, f.source) // gets the dead one, and begins the check
	if err != nil {
		t.Fatal(err)
	}
	<-gate.Reached
	next := f.issue()
	f.wantAlive(next, true)
	if next.SessionID == leases[0].SessionID {
		t.Error("a dead session was issued")
	}
	gate.Open()
	f.broker.AwaitBackground()
	for _, l := range leases {
		f.wantState(l, ledger.StateGone)
		f.release(l)
	}
	f.release(last)
	f.wantState(last, "")
	f.release(next)
	f.settle()
	f.wantOnlyCurrent()
}

// Exchanges that hang take their slots, and no others: a revocation is carried out at once, and what has waited in vain says
// nothing of Workfront's health.
func TestRevocationsDoNotWaitBehindExchanges(t *testing.T) {
	f := newFixture(t)
	lease, another := f.issue(), f.issue()
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	const readers = 48
	failed := make(chan error, readers)
	for range readers {
		go func() {
			l, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if err == nil {
				err = f.broker.Release(t.Context(), f.storage, l.LeaseRef)
			}
			failed <- err
		}()
	}
	await.That(t, "the exchanges are under way", func() bool { return f.server.Stats().Exchanges >= 8 })
	f.release(lease)
	f.wantAlive(lease, false)
	f.release(another)
	f.wantAlive(another, false)
	resume()
	for range readers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	f.wantNothingLeft()
}

// Many roles share sessions while Workfront is down. The log says so once a minute, with the sum.
func TestLogOfRefreshesThatFail(t *testing.T) {
	f := newSharedFixture(t)
	log := f.logged()
	read := func() {
		for i := range 5 {
			f.source.Role = fmt.Sprint(i)
			f.issue()
		}
	}
	read()
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500})
	f.clock.Advance(24 * time.Minute)
	for range 24 { // two minutes
		read()
		f.broker.AwaitBackground()
		f.clock.Advance(5 * time.Second)
	}
	f.maintain()
	warnings, attempts := 0, 0
	for line := range strings.Lines(log.String()) {
		if _, rest, found := strings.Cut(line, "attempts="); found && strings.Contains(line, "[WARN]") {
			warnings++
			n := 0
			_, _ = fmt.Sscan(rest, &n)
			attempts += n
		}
	}
	if warnings != 3 { // the first, and one for each minute
		t.Errorf("warnings: got %d, want 3:\n%s", warnings, log.String())
	}
	if got := f.server.Stats().Exchanges - 5; attempts != got {
		t.Errorf("attempts that the log tells of: got %d, want %d", attempts, got)
	}
}

// What a write of settings ends is ended in parallel, and briefly; the rest goes on in the background.
func TestEndOfSharingIsBrief(t *testing.T) {
	f := newSharedFixture(t)
	const roles = 6
	var leases []*session.Lease
	readAll := func() {
		for i := range roles {
			f.source.Role = fmt.Sprint(i)
			leases = append(leases, f.issue())
		}
	}
	readAll()
	f.clock.Advance(25 * time.Minute)
	readAll() // has each replaced in the background
	f.broker.AwaitBackground()
	for _, lease := range leases {
		f.release(lease)
	}
	if alive := f.server.Stats().Alive; alive != roles {
		t.Fatalf("sessions alive: got %d, want %d that nobody leases", alive, roles)
	}
	kept := f.source.Role
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	began := time.Now()
	if err := f.broker.UnshareExcept(t.Context(), f.storage, func(role string) bool { return role == kept }); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %s, want 2 s", took)
	}
	resume()
	f.broker.AwaitBackground()
	if alive := f.server.Stats().Alive; alive != 1 {
		t.Errorf("sessions alive: got %d, want that of the role that goes on sharing", alive)
	}
}

// The write of a role looks at its own share, however many there are.
func TestEndOfSharingOfOneRoleReadsNoOther(t *testing.T) {
	cost := func(roles int) int {
		f := newSharedFixture(t)
		for i := range roles {
			f.source.Role = fmt.Sprint(i)
			f.issue()
		}
		before := f.storage.Calls(storagetest.Any)
		if err := f.broker.Unshare(t.Context(), f.storage, "0"); err != nil {
			t.Error(err)
		}
		return f.storage.Calls(storagetest.Any) - before
	}
	if one, many := cost(1), cost(40); one != many {
		t.Errorf("storage calls with 40 shared roles: got %d, want %d as with one", many, one)
	}
}
