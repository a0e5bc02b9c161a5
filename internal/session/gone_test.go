package session_test

import (
	"context"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// unknownSession is what Workfront says of a session that it does not know.
const unknownSession = `{"error":{"class":"com.attask.common.AuthenticationException","message":"no"}}`

// saysGone has Workfront say so many times to the background check that it does not know the session.
func (f *fixture) saysGone(times int) {
	f.server.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointAPI, Status: 401, Body: unknownSession, Times: times,
	})
}

// wronglyGone issues leases on a shared session that Workfront wrongly calls gone.
func (f *fixture) wronglyGone(n int) (leases []*session.Lease) {
	f.t.Helper()
	for range n - 1 {
		leases = append(leases, f.issue())
	}
	f.saysGone(2)
	f.clock.Advance(time.Minute)
	leases = append(leases, f.issue()) // which begins the check
	f.broker.AwaitBackground()
	f.wantState(leases[0], ledger.StateGone)
	return leases
}

func TestGoneSessionEndsWithItsLastLease(t *testing.T) {
	for _, restart := range []bool{false, true} {
		f, o := newSharedFixture(t), &observer{}
		f.options.Observer = o
		f.broker = f.newBroker()
		leases := f.wronglyGone(3)
		if restart {
			f.broker = f.newBroker()
		}
		next := f.issue()
		if next.SessionID == leases[0].SessionID {
			t.Error("a session was issued that is gone")
		}
		if o.gone != 1 {
			t.Errorf("sessions found gone: got %d, want 1", o.gone)
		}
		if got, err := f.broker.Count(t.Context(), f.storage); err != nil || got.Active != 2 {
			t.Errorf("got %+v, %v; want both sessions active", got, err)
		}
		for _, l := range leases {
			f.wantAlive(l, true)
			f.wantState(l, ledger.StateGone)
			f.release(l)
		}
		f.wantAlive(leases[0], false)
		f.wantState(leases[0], "")
		f.wantAlive(next, true)
		f.release(next)
		f.wantNothingLeft()
	}
}

func TestOneWrongAnswerDoesNotMakeASessionGone(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.saysGone(1)
	f.clock.Advance(time.Minute)
	f.issue()
	f.broker.AwaitBackground()
	if calls := f.server.Stats().APICalls; calls != 2 {
		t.Errorf("checks: got %d, want the one that was repeated", calls)
	}
	if next := f.issue(); next.SessionID != first.SessionID {
		t.Error("a session was replaced that lives")
	}
	f.wantState(first, ledger.StateActive)
}

// A gateway's own answer of 401 says nothing of the session.
func TestGatewayDoesNotMakeASessionGone(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Status: 401, Body: "<html>login</html>"})
	f.clock.Advance(time.Minute)
	f.issue()
	f.broker.AwaitBackground()
	if next := f.issue(); next.SessionID != first.SessionID {
		t.Error("a session was replaced because of a gateway's answer")
	}
	f.wantState(first, ledger.StateActive)
}

// Workfront returns a session again that it did not know: it is issued again, and what holds it keeps it.
func TestGoneSessionThatIsReturnedAgain(t *testing.T) {
	for _, before := range []bool{false, true} { // the verdict is stored
		f := newSharedFixture(t)
		f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
		first := f.issue()
		f.saysGone(2)
		f.clock.Advance(time.Minute)
		own := f.source
		own.Shared = false
		if before {
			f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500, Times: 1}) // no replacement
		}
		second := f.issue()
		f.broker.AwaitBackground()
		if before {
			f.wantState(first, ledger.StateGone)
		}
		third, err := f.broker.Issue(t.Context(), f.storage, own)
		if err != nil {
			t.Fatal(err)
		}
		if third.SessionID != first.SessionID {
			t.Fatal("the stand-in did not return the same session")
		}
		f.wantState(first, ledger.StateActive)
		if next := f.issue(); next.SessionID != first.SessionID {
			t.Error("another session was issued")
		} else {
			f.release(next)
		}
		for _, l := range []*session.Lease{first, second, third} {
			f.wantAlive(l, true)
			f.release(l)
		}
		f.settle()
		f.wantNothingLeft()
	}
}

func TestTrialThatIsGivenAGoneSession(t *testing.T) {
	f := newSharedFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500, Times: 1})
	first := func() *session.Lease {
		f.server.ClearFaults()
		l := f.issue()
		f.saysGone(2)
		f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500, Times: 1})
		f.clock.Advance(time.Minute)
		f.release(f.issue())
		f.broker.AwaitBackground()
		return l
	}()
	f.wantState(first, ledger.StateGone)
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	if inUse, err := trial.End(t.Context(), f.storage); err != nil || !inUse {
		t.Errorf("got in use %t, %v; want true", inUse, err)
	}
	f.wantAlive(first, true)
	f.wantState(first, ledger.StateActive)
	f.release(first)
	f.wantNothingLeft()
}

// Storage does not take it that a session is gone: it stays active, its leases are released as usual, and the next check finds
// the same.
func TestGoneSessionThatStorageDoesNotTake(t *testing.T) {
	for _, late := range []bool{false, true} {
		f := newSharedFixture(t)
		first := f.issue()
		f.saysGone(2)
		f.clock.Advance(time.Minute)
		broken := storagetest.Over(f.storage, storagetest.Rule{
			On: storagetest.Put, Prefix: "session/" + first.SessionID, Times: 1,
			Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
				if late {
					_ = next(ctx)
				}
				return storagetest.ErrBroken
			},
		})
		second, err := f.broker.Issue(t.Context(), broken, f.source)
		if err != nil {
			t.Fatal(err)
		}
		f.broker.AwaitBackground()
		f.release(second)
		f.wantAlive(first, true)
		f.release(first)
		f.wantAlive(first, false)
		f.settle()
	}
}

// A session that an exchange has returned only just now may not be known everywhere yet.
func TestYoungSessionIsNotChecked(t *testing.T) {
	f := newSharedFixture(t)
	f.issue()
	f.broker = f.newBroker() // which would check it at once
	f.issue()
	f.broker.AwaitBackground()
	if calls := f.server.Stats().APICalls; calls != 0 {
		t.Errorf("checks: got %d, want none", calls)
	}
	f.clock.Advance(10 * time.Second)
	f.issue()
	f.broker.AwaitBackground()
	if calls := f.server.Stats().APICalls; calls != 1 {
		t.Errorf("checks after ten seconds: got %d, want 1", calls)
	}
}
