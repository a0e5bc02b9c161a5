package session_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// A quarter of the lifetime is a quarter of what was last stated or assumed: a session that Workfront returns again and extends
// is fresh again, and is not replaced at every read.
func TestExtendedSessionIsFreshAgain(t *testing.T) {
	const every, watched = 10 * time.Second, 3 * time.Hour
	tests := []struct {
		name      string
		ends      time.Duration // at Workfront, from the first exchange
		expiresIn *string
		exchanges int // at most
	}{
		{"30 minutes are stated each time", 8 * time.Hour, pointer("1800"), 9},
		{"a minute is stated each time", 8 * time.Hour, pointer("60"), int(watched / (40 * time.Second))},
		{"nothing is stated", 8 * time.Hour, pointer(workfronttest.OmitExpiresIn), 9},
		{"0 is stated", 8 * time.Hour, pointer("0"), 9},
		{"the same end is stated each time", watched + time.Minute, nil, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixtureWithTTL(t, tt.ends)
			f.source.Role, f.source.Shared, f.source.KeyFingerprint = "r", true, "made from this"
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, tt.expiresIn })
			first := f.issue()
			for range int(watched / every) {
				f.clock.Advance(every)
				l := f.issue()
				f.broker.AwaitBackground()
				if l.SessionID != first.SessionID {
					t.Fatal("another session was issued")
				}
				f.release(l)
			}
			if got := f.server.Stats().Exchanges; got > tt.exchanges {
				t.Errorf("exchanges in %s: got %d, want %d at most", watched, got, tt.exchanges)
			}
			f.release(first)
			f.wantAlive(first, false)
			f.wantOnlyCurrent()
		})
	}
}

// So it is after a restart, because the lifetime is stored.
func TestExtendedSessionIsFreshAfterARestart(t *testing.T) {
	f := newFixtureWithTTL(t, 8*time.Hour)
	f.source.Role, f.source.Shared, f.source.KeyFingerprint = "r", true, "made from this"
	f.behave(func(b *workfronttest.Behaviour) {
		b.SameSession, b.ExpiresIn = true, pointer(workfronttest.OmitExpiresIn)
	})
	f.issue()
	for range 10 {
		f.clock.Advance(23 * time.Minute)
		f.issue()
		f.broker.AwaitBackground()
	}
	f.wantExchanges(11)
	f.broker = f.newBroker()
	f.clock.Advance(20 * time.Minute)
	f.issue()
	f.broker.AwaitBackground()
	f.wantExchanges(11)
}

// session_ttl may be shortened while sessions live that it was assumed for: leases keep the time that they were issued for.
func TestShorterAssumptionCutsNoLease(t *testing.T) {
	f := newFixtureWithTTL(t, 8*time.Hour)
	f.source.Role, f.source.Shared, f.source.KeyFingerprint = "r", true, "made from this"
	f.behave(func(b *workfronttest.Behaviour) {
		b.SameSession, b.ExpiresIn = true, pointer(workfronttest.OmitExpiresIn)
	})
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	f.source.SessionTTL = time.Minute
	f.issue()
	f.broker.AwaitBackground()
	f.wantExchanges(2)
	f.wantExpiry(first, first.ExpiresAt)
	f.issue()
	f.broker.AwaitBackground()
	f.wantExchanges(2) // it is fresh again
}

// wantExpiry checks what the ledger says.
func (f *fixture) wantExpiry(l *session.Lease, want time.Time) {
	f.t.Helper()
	s, err := f.broker.Session(f.t.Context(), f.storage, l.SessionID)
	if err != nil || s == nil {
		f.t.Fatalf("got session %v, error %v", s, err)
	}
	if !s.ExpiresAt.Equal(want) {
		f.t.Errorf("expiry in the ledger: got %s, want %s", s.ExpiresAt, want)
	}
}

// No lease may outlive its session, nor be renewed past its expiry: an earlier one that Workfront states always counts, and is
// stored, however small the difference.
func TestEarlierStatementIsStored(t *testing.T) {
	for _, earlier := range []int{1, 30, 59, 90} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d s, restart %t", earlier, restart), func(t *testing.T) {
				f := newFixtureWithTTL(t, 2*time.Hour)
				f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer("1800") })
				first := f.issue()
				f.issue() // so that memory keeps the session
				if restart {
					f.broker = f.newBroker()
				}
				f.behave(func(b *workfronttest.Behaviour) {
					b.SameSession, b.ExpiresIn = true, pointer(strconv.Itoa(1800-earlier))
				})
				second := f.issue()
				want := first.ExpiresAt.Add(-time.Duration(earlier) * time.Second)
				if !second.ExpiresAt.Equal(want) {
					t.Errorf("expiry of the second lease: got %s, want %s", second.ExpiresAt, want)
				}
				f.wantExpiry(first, want)
			})
		}
	}
}
