package session_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// onAMachine has the broker see the clock as a machine does, whose monotonic reading stands still while it is suspended.
// Workfront's machines are not suspended.
func (f *fixture) onAMachine() {
	f.options.Now = f.clock.Reading
	f.broker = f.newBroker()
}

// A machine was suspended: its sessions have expired in the meantime, although its monotonic clock has not moved.
func TestSuspendedMachine(t *testing.T) {
	t.Run("shared", func(t *testing.T) {
		f := newSharedFixture(t)
		f.onAMachine()
		first := f.issue()
		f.clock.Suspend(3 * time.Hour)
		second := f.issue()
		if second.SessionID == first.SessionID {
			t.Error("a session was issued that expired while the machine was suspended")
		}
		f.wantAlive(second, true)
		if got, want := second.ExpiresAt, f.clock.Now().Add(30*time.Minute); !got.Equal(want) || second.Left != 30*time.Minute {
			t.Errorf("expires at: got %s, and %s are left; want %s", got, second.Left, want)
		}
		f.release(first)
		f.release(second)
		f.wantAlive(second, false)
	})
	t.Run("in its last quarter", func(t *testing.T) {
		f := newSharedFixture(t)
		f.onAMachine()
		f.issue()
		f.clock.Suspend(25 * time.Minute)
		f.issue()
		f.broker.AwaitBackground()
		f.wantExchanges(2)
	})
	t.Run("returned again", func(t *testing.T) {
		f := newFixtureWithTTL(t, 8*time.Hour)
		f.onAMachine()
		f.behave(func(b *workfronttest.Behaviour) {
			b.SameSession, b.ExpiresIn = true, pointer(workfronttest.OmitExpiresIn)
		})
		f.issue()
		f.clock.Suspend(time.Hour)
		if got, want := f.issue().ExpiresAt, f.clock.Now().Add(30*time.Minute); !got.Equal(want) {
			t.Errorf("expires at: got %s, want %s", got, want)
		}
	})
	t.Run("pending for 24 hours", func(t *testing.T) {
		f := newFixtureWithTTL(t, 48*time.Hour)
		f.onAMachine()
		f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer("0") })
		lease := f.issue()
		f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
		f.release(lease)
		f.wantState(lease, ledger.StateEnding)
		f.clock.Suspend(25 * time.Hour)
		for range 2 { // expiry needs two runs
			f.clock.Advance(time.Minute)
			f.maintain()
		}
		f.wantState(lease, "")
	})
	t.Run("as long as it lives", func(t *testing.T) {
		f := newSharedFixture(t)
		f.onAMachine()
		first := f.issue()
		f.clock.Suspend(10 * time.Minute)
		var second *session.Lease
		if second = f.issue(); second.SessionID != first.SessionID || second.Left != 20*time.Minute {
			t.Errorf("got session %s with %s left, want the first one with 20m", second.SessionID, second.Left)
		}
	})
}
