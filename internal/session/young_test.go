package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// unknownToLogout has Workfront say so many times to a logout that it does not know the session, which it does.
func (f *fixture) unknownToLogout(times int) {
	f.server.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointLogout, Status: 401, Body: unknownSession, Times: times,
	})
}

// eventsOf makes a broker whose events are counted.
func (f *fixture) eventsOf(kind session.EventKind) *int {
	n := new(int)
	f.options.Notify = func(_ context.Context, e session.Event) {
		if e.Kind == kind {
			*n++
		}
	}
	f.broker = f.newBroker()
	return n
}

// Workfront does not know a session yet that it has only just returned. That must not count as its end.
func TestLogoutOfASessionThatIsNotKnownYet(t *testing.T) {
	t.Run("it is known when asked again", func(t *testing.T) {
		t.Parallel() // the client waits for 2 s
		f := newFixture(t)
		lease := f.issue()
		f.unknownToLogout(1)
		f.release(lease)
		f.wantAlive(lease, false)
		f.wantNothingLeft()
	})
	t.Run("it is known after 1.5 s", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.behave(func(b *workfronttest.Behaviour) { b.KnownAfter = 1500 * time.Millisecond })
		f.server.OnEvent(func(e workfronttest.Event) {
			if e.Kind == workfronttest.LogoutAnswered {
				f.clock.Advance(2 * time.Second)
			}
		})
		lease := f.issue()
		f.release(lease)
		f.wantAlive(lease, false)
		trial, err := f.broker.Try(t.Context(), f.source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trial.End(t.Context(), f.storage); err != nil {
			t.Error(err)
		}
		f.wantNothingLeft()
	})
	t.Run("it is known later", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		log := f.logged()
		events := f.eventsOf(session.EventLogoutPending)
		lease := f.issue()
		f.unknownToLogout(2)
		f.release(lease)
		f.wantAlive(lease, true)
		f.wantState(lease, ledger.StateEnding)
		if *events != 0 || strings.Contains(log.String(), "[WARN]") {
			t.Errorf("%d events, and a log of %s; want none, and no warning", *events, log)
		}
		f.clock.Advance(time.Minute)
		f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500, Times: 2})
		f.maintain()
		f.maintain()
		if *events != 1 || !strings.Contains(log.String(), "[WARN]") {
			t.Errorf("%d events after failures of another kind, and a log of %s; want one, and a warning", *events, log)
		}
		f.maintain()
		f.wantAlive(lease, false)
		f.wantNothingLeft()
	})
	t.Run("another process logs it out", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		lease := f.issue()
		f.broker = f.newBroker()
		f.unknownToLogout(2)
		f.release(lease)
		f.wantState(lease, ledger.StateEnding)
	})
	t.Run("the clock was set back", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		lease := f.issue()
		f.options.Now = func() time.Time { return f.clock.Now().Add(-time.Hour) }
		f.broker = f.newBroker()
		f.unknownToLogout(2)
		f.release(lease)
		f.wantState(lease, ledger.StateEnding)
	})
	t.Run("it was returned again", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
		first := f.issue()
		f.clock.Advance(10 * time.Minute)
		second := f.issue()
		f.release(first)
		f.unknownToLogout(2)
		f.release(second)
		f.wantState(second, ledger.StateEnding)
	})
	t.Run("the end of a trial", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		trial, err := f.broker.Try(t.Context(), f.source)
		if err != nil {
			t.Fatal(err)
		}
		f.unknownToLogout(2)
		if _, err := trial.End(t.Context(), f.storage); !errors.Is(err, workfront.ErrGoneTooSoon) {
			t.Errorf("got %v, want %v", err, workfront.ErrGoneTooSoon)
		}
		f.wantAccounted()
		f.recover()
		f.wantNothingLeft()
	})
}

// Where Workfront must have heard of a session, it is believed at once.
func TestLogoutOfASessionThatIsKnownToHaveLived(t *testing.T) {
	for name, prepare := range map[string]func(f *fixture){
		"ten seconds old":        func(f *fixture) { f.clock.Advance(10 * time.Second) },
		"past its stated expiry": func(f *fixture) { f.clock.Advance(time.Second) },
		"a logout was answered": func(f *fixture) {
			f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Body: `{"data":{}}`, Times: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if name == "past its stated expiry" {
				f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer("3") })
			}
			lease := f.issue()
			if name == "past its stated expiry" {
				f.clock.Advance(2 * time.Second)
			}
			prepare(f)
			f.unknownToLogout(0)
			began := time.Now()
			f.release(lease)
			f.wantState(lease, "")
			if took := time.Since(began); took > 1900*time.Millisecond {
				t.Errorf("took %s, want no wait", took)
			}
		})
	}
}

// A logout that was carried out, and after which storage failed, is believed when it is repeated.
func TestRepeatedLogoutOfAYoungSession(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.storage.Script(writesFail(1)) // after the proof that this node may log out
	if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); err == nil {
		t.Fatal("got no error, want that of storage")
	}
	f.wantAlive(lease, false)
	f.storage.Script()
	f.release(lease)
	f.wantState(lease, "")
}
