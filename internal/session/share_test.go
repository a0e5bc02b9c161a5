package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// newSharedFixture is a fixture whose readers share a session.
func newSharedFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.source.Role, f.source.Shared, f.source.KeyFingerprint = "r", true, "made from this"
	return f
}

// wantExchanges checks how many times Workfront was asked.
func (f *fixture) wantExchanges(want int) {
	f.t.Helper()
	if got := f.server.Stats().Exchanges; got != want {
		f.t.Errorf("exchanges: got %d, want %d", got, want)
	}
}

// settle waits until nothing goes on in the background, checks that the ledger knows every session that lives at Workfront,
// and restarts the process.
func (f *fixture) settle() {
	f.t.Helper()
	f.broker.Close(f.t.Context(), f.storage, false)
	f.wantAccounted()
	f.broker = f.newBroker()
}

// wantAccounted checks that the ledger knows every session that lives at Workfront.
func (f *fixture) wantAccounted() {
	f.t.Helper()
	ids, err := f.broker.IDs(f.t.Context(), f.storage)
	if err != nil {
		f.t.Fatal(err)
	}
	known := 0
	for _, id := range ids {
		s, err := f.broker.Session(f.t.Context(), f.storage, id)
		if err != nil {
			f.t.Fatal(err)
		}
		if s != nil && f.server.SessionAlive(s.Token) {
			known++
		}
	}
	if alive := f.server.Stats().Alive; alive != known {
		f.t.Errorf("sessions alive at workfront: %d, of which the ledger knows %d", alive, known)
	}
}

// wantOnlyCurrent checks that the ledger holds nothing but the hint at what was shared last.
func (f *fixture) wantOnlyCurrent() {
	f.t.Helper()
	if err := f.storage.Delete(f.t.Context(), "shared/roles/r"); err != nil {
		f.t.Fatal(err)
	}
	f.wantEmptyLedger()
}

func TestSharedSessionIsLoggedOutByItsLastLease(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			f := newSharedFixture(t)
			var leases []*session.Lease
			for range 5 {
				leases = append(leases, f.issue())
				if restart {
					f.settle()
				}
			}
			f.wantExchanges(1)
			for i, l := range leases {
				f.wantAlive(l, true)
				f.release(l)
				f.release(l) // twice is once
				if restart {
					f.settle()
				}
				f.wantAlive(l, i < len(leases)-1)
			}
			f.wantOnlyCurrent()
			fresh := f.issue() // and then a new one
			f.wantAlive(fresh, true)
			f.wantExchanges(2)
		})
	}
}

func TestColdReadersCauseOneExchange(t *testing.T) {
	f := newSharedFixture(t)
	const readers = 100
	leases := make([]*session.Lease, readers)
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if err != nil {
				t.Errorf("issue: %v", err)
				return
			}
			leases[i] = lease
		})
	}
	all.Wait()
	f.wantExchanges(1)
	if t.Failed() {
		return
	}
	for i, l := range leases {
		all.Go(func() {
			if i > 0 {
				f.release(l)
			}
		})
	}
	all.Wait()
	f.wantAlive(leases[0], true)
	f.release(leases[0])
	f.wantAlive(leases[0], false)
	f.wantOnlyCurrent()
}

func TestAllColdReadersGetTheFailure(t *testing.T) {
	f := newSharedFixture(t)
	resume := make(chan struct{})
	f.server.OnEvent(func(workfronttest.Event) { <-resume })
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500, Times: 1})
	const readers = 20
	failures := make(chan error, readers)
	for range readers {
		go func() {
			_, err := f.broker.Issue(t.Context(), f.storage, f.source)
			failures <- err
		}()
	}
	await.That(t, "all readers wait", func() bool { return f.broker.Waiting("roles/r") == readers })
	close(resume)
	for range readers {
		if err := <-failures; !isA[*workfront.UnavailableError](err) {
			t.Errorf("got %v, want the failure of the exchange", err)
		}
	}
	f.wantExchanges(1)
	f.server.OnEvent(nil)
	f.release(f.issue()) // the next read tries again
	f.wantExchanges(2)
}

func TestReplacementIsFetchedInTheBackground(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.clock.Advance(22 * time.Minute)
	if again := f.issue(); again.SessionID != first.SessionID {
		t.Error("replaced before its last quarter")
	}
	f.wantExchanges(1)

	f.clock.Advance(time.Minute) // less than 7m30s are left
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	for range 3 {
		if l := f.issue(); l.SessionID != first.SessionID { // none of them waits for Workfront
			t.Error("a reader did not get the session that lives")
		}
	}
	resume()
	var next *session.Lease
	await.That(t, "the replacement is issued", func() bool {
		next = f.issue()
		return next.SessionID != first.SessionID
	})
	f.wantExchanges(2)
	f.wantAlive(first, true) // its leases stay on it
	f.release(first)
	f.wantAlive(first, true)
	f.wantAlive(next, true)
}

func TestOutageIsSurvivedWhileTheSessionLives(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.server.Suspend()
	f.clock.Advance(29 * time.Minute)
	for range 5 {
		if l := f.issue(); l.SessionID != first.SessionID {
			t.Error("a reader did not get the session that lives")
		}
	}
	f.clock.Advance(59 * time.Second)
	if _, err := f.broker.Issue(t.Context(), f.storage, f.source); !isA[*workfront.UnavailableError](err) {
		t.Errorf("with less than 2 s left: got %v, want an UnavailableError", err)
	}
	if err := f.server.Resume(); err != nil {
		t.Fatal(err)
	}
	if l := f.issue(); l.SessionID == first.SessionID {
		t.Error("a session at its end was issued")
	}
}

func TestFailedRefreshIsNotRepeatedAtEveryRead(t *testing.T) {
	f := newSharedFixture(t)
	f.issue()
	f.clock.Advance(25 * time.Minute)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500})
	f.issue()
	await.That(t, "the refresh fails", func() bool { return f.server.Stats().Exchanges == 2 && f.broker.Waiting("roles/r") < 0 })
	for range 10 {
		f.issue()
	}
	f.settleOnce()
	f.wantExchanges(2)
	f.clock.Advance(10 * time.Second)
	f.server.ClearFaults()
	f.issue()
	await.That(t, "a later read tries again", func() bool { return f.server.Stats().Exchanges == 3 })
}

// settleOnce waits until no flight is under way.
func (f *fixture) settleOnce() {
	f.t.Helper()
	await.That(f.t, "no flight is under way", func() bool { return f.broker.Waiting("roles/r") < 0 })
}

func TestReplacedWhenItsSourceChanges(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.source.KeyFingerprint = "made from that"
	second := f.issue()
	if first.SessionID == second.SessionID {
		t.Error("a session made from other settings was issued")
	}
	f.wantAlive(first, true) // it has a lease
	f.release(first)
	f.wantAlive(first, false)
	f.wantAlive(second, true)
}

func TestReplacementThatNobodyLeasedIsLoggedOut(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	f.issue()
	f.settleOnce()
	f.release(first)
	f.source.KeyFingerprint = "changed"
	f.issue() // replaces the replacement
	// The first still has a lease; the replacement had none.
	await.That(t, "the replacement is logged out", func() bool { return f.server.Stats().LoggedOut == 1 })
	f.settle()
	if stats := f.server.Stats(); stats.Started != 3 || stats.Alive != 2 {
		t.Errorf("got %d started, %d alive; want 3 and 2", stats.Started, stats.Alive)
	}
}

func TestUnleasedCurrentSessionIsDroppedAtItsEnd(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	f.release(f.issue())
	f.settleOnce()
	f.release(first)
	f.clock.Advance(2 * time.Hour)
	f.expire()
	f.wantOnlyCurrent()
	l := f.issue()
	f.wantAlive(l, true)
}

func TestSessionEndedBySomeoneElseIsReplaced(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.server.EndSession(first.Token)
	if l := f.issue(); l.SessionID != first.SessionID {
		t.Error("checked more often than once a minute")
	}
	f.clock.Advance(time.Minute)
	f.issue() // gets the dead one, and begins the check
	var next *session.Lease
	await.That(t, "the session is replaced", func() bool {
		next = f.issue()
		return next.SessionID != first.SessionID
	})
	f.wantAlive(next, true)
	f.broker.AwaitBackground()
	f.wantState(first, ledger.StateGone)
	f.release(first) // leases on it revoke cleanly
	f.wantState(first, ledger.StateGone)
}

func TestSessionIsCheckedAfterAStart(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.server.EndSession(first.Token)
	f.clock.Advance(10 * time.Second) // a younger one is not checked
	f.broker = f.newBroker()
	await.That(t, "the session is replaced", func() bool { return f.issue().SessionID != first.SessionID })
}

func TestCheckThatFailsChangesNothing(t *testing.T) {
	for _, status := range []int{403, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			f := newSharedFixture(t)
			first := f.issue()
			f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Status: status})
			f.clock.Advance(time.Minute)
			f.issue()
			await.That(t, "the check was made", func() bool { return f.server.Stats().APICalls == 1 })
			f.settle()
			if l := f.issue(); l.SessionID != first.SessionID {
				t.Error("a session was replaced that nobody called dead")
			}
		})
	}
}

func TestReadersThatLeaveAColdRole(t *testing.T) {
	f := newSharedFixture(t)
	entered := make(chan struct{}, 10)
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			entered <- struct{}{}
		}
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	ctx, leave := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := f.broker.Issue(ctx, f.storage, f.source)
		failed <- err
	}()
	<-entered
	leave()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader got %v, want %v", err, context.Canceled)
	}
	resume()
	f.broker.AwaitBackground()
	next := f.issue() // gets what the one before has caused
	f.wantExchanges(1)
	f.release(next)
	f.settle()
	f.wantOnlyCurrent()
}

// What a read and a revocation cost must not grow with the number of leases on the session.
func TestCostDoesNotGrowWithLeases(t *testing.T) {
	cost := func(leases int) (read, revoke int) {
		f := newSharedFixture(t)
		for range leases {
			f.issue()
		}
		before := f.storage.Calls(storagetest.Any)
		l := f.issue()
		read = f.storage.Calls(storagetest.Any) - before
		f.release(l)
		return read, f.storage.Calls(storagetest.Any) - before - read
	}
	for _, leases := range []int{10, 1_000, 50_000} {
		if read, revoke := cost(leases); read != 1 || revoke != 1 {
			t.Errorf("storage calls with %d leases: got %d for a read and %d for a revocation, want 1 and 1", leases, read, revoke)
		}
	}
}

func TestSharedConcurrently(t *testing.T) {
	f := newSharedFixture(t)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 50 {
				lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
				if err != nil {
					t.Errorf("issue: %v", err)
					return
				}
				if !f.server.SessionAlive(lease.Token) {
					t.Error("a leased session is dead")
				}
				if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); err != nil {
					t.Errorf("release: %v", err)
				}
			}
		})
	}
	readers.Wait()
	f.settle()
	if stats := f.server.Stats(); stats.Alive != 0 || stats.Started != stats.LoggedOut {
		t.Errorf("started %d, logged out %d, alive %d; want none alive", stats.Started, stats.LoggedOut, stats.Alive)
	}
	f.wantOnlyCurrent()
}

func TestRetireEndsWhatNobodyLeases(t *testing.T) {
	f := newSharedFixture(t)
	if err := f.broker.Unshare(t.Context(), f.storage, "none"); err != nil {
		t.Errorf("retire of nothing: %v", err)
	}
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	f.issue()
	f.settleOnce()
	if err := f.broker.Unshare(t.Context(), f.storage, f.source.Role); err != nil {
		t.Fatal(err)
	}
	if stats := f.server.Stats(); stats.Started != 2 || stats.LoggedOut != 1 {
		t.Errorf("got %d started, %d logged out; want 2 and 1", stats.Started, stats.LoggedOut)
	}
	f.wantAlive(first, true)
}

func TestInvalidateDropsWhatMemoryHolds(t *testing.T) {
	f := newSharedFixture(t)
	first, second := f.issue(), f.issue()
	// Another node ends the session.
	other := f.newBroker()
	if _, err := other.Terminate(t.Context(), f.storage, first.SessionID); err != nil {
		t.Fatal(err)
	}
	f.broker.Invalidate("session/" + first.SessionID)
	f.broker.Invalidate("lease/" + first.SessionID + "/" + first.ID)
	f.broker.Invalidate("shared/roles/" + f.source.Role)
	next := f.issue()
	if next.SessionID == first.SessionID {
		t.Error("a session that another node ended was issued")
	}
	f.release(second)
	f.wantAlive(next, true)
}

// Two roles may be given the same session.
func TestSameSessionInTwoRoles(t *testing.T) {
	f := newSharedFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	a := f.issue()
	f.source.Role, f.source.KeyFingerprint = "s", "made from that"
	b := f.issue()
	if a.SessionID != b.SessionID {
		t.Fatal("the stand-in did not return the same session")
	}
	f.issue()
	f.wantExchanges(2)
	f.release(a)
	f.wantAlive(b, true)
}

// The logout of the last lease may take a while; the next reader does not wait for it.
func TestNextReaderDoesNotWaitForALogout(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	entered := make(chan struct{})
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.LogoutReceived {
			close(entered)
		}
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	released := make(chan error)
	go func() { released <- f.broker.Release(t.Context(), f.storage, first.LeaseRef) }()
	<-entered
	next := f.issue()
	if next.SessionID == first.SessionID {
		t.Error("a session that is being logged out was issued")
	}
	resume()
	if err := <-released; err != nil {
		t.Error(err)
	}
	f.server.OnEvent(nil)
	f.wantAlive(next, true)
	f.release(next)
	f.settle()
	f.wantOnlyCurrent()
}
