//go:build e2e

package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// TestSameSessionForBothModes: Workfront returns one session for a shared role and for fresh reads. It ends with the last
// lease of either.
func TestSameSessionForBothModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		roles  []string // that are read, in this order
		revoke []int    // in this order
	}{
		{"fresh twice", []string{freshRole, freshRole}, []int{0, 1}},
		{"fresh twice, the second first", []string{freshRole, freshRole}, []int{1, 0}},
		{"shared, then fresh", []string{sharedRole, freshRole}, []int{0, 1}},
		{"shared, then fresh, fresh first", []string{sharedRole, freshRole}, []int{1, 0}},
		{"fresh, then shared", []string{freshRole, sharedRole}, []int{0, 1}},
		{"fresh, then shared, shared first", []string{freshRole, sharedRole}, []int{1, 0}},
		{"many", []string{freshRole, sharedRole, freshRole, sharedRole, sharedRole, freshRole}, []int{3, 0, 5, 1, 4, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			behave(w, func(b *behaviour) { b.SameSession = true })
			m := withRoles(t, issuing(t, sharedVault(t), w, nil))
			var leases []*api.Secret
			for _, role := range c.roles {
				leases = append(leases, m.roleToken(t, role))
			}
			for i, lease := range leases {
				if accessToken(lease) != accessToken(leases[0]) {
					t.Fatalf("read %d brought another session", i)
				}
			}
			for i, which := range c.revoke {
				m.wantBalance(t, w)
				if err := w.accounts(1); err != nil {
					t.Fatalf("after %d revocations: %v", i, err)
				}
				m.revoke(t, leases[which])
			}
			wantDead(t, w, leases[0])
			// Nothing of it is left that a later read could be given.
			for _, role := range []string{sharedRole, freshRole} {
				lease := m.roleToken(t, role)
				if !w.SessionAlive(accessToken(lease)) {
					t.Errorf("%s: the next token is no living session", role)
				}
				m.revoke(t, lease)
			}
			if s := w.Stats(); s.Started != s.LoggedOut {
				t.Error(fmt.Errorf("sessions: %+v; want all logged out", s))
			}
		})
	}
}

// TestSameSessionIsNotFetchedAgain: when it is time to replace a shared session, and Workfront answers with that very session,
// this is tried again every few seconds at most (design 3, warm), however many readers come.
func TestSameSessionIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	const life = 30 * time.Second
	w := startWorkfront(t, life)
	behave(w, func(b *behaviour) { b.SameSession = true })
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	began := time.Now()
	m.roleToken(t, sharedRole)
	reading := m.startReaders(2, 20*time.Millisecond, sharedRole, m.useShared(w, 2))
	// Of the life, a second may be lost in the statement of it. A quarter is left after 22 s then, and the last 2 s are not
	// issued.
	over := time.NewTimer(time.Until(began.Add(life - 4*time.Second)))
	defer over.Stop()
	<-over.C
	stats, took := w.Stats(), time.Since(began)
	reading.finish(t) // on a busy machine, this may take until the session is not issued any more, and another one is fetched
	if stats.Exchanges < 2 || stats.Exchanges > 3 {
		t.Errorf("%d exchanges in %s, want the first, and one or two in the last quarter: %+v", stats.Exchanges, took, stats)
	}
	m.wantAllGone(t, w)
}

// TestSameSessionEndedUnderExchange: while Workfront makes the answer that returns a session again, the last lease on that
// is revoked. Who gets the answer must get a session that lives.
func TestSameSessionEndedUnderExchange(t *testing.T) {
	t.Parallel()
	for _, role := range []string{freshRole, sharedRole} {
		t.Run(role, func(t *testing.T) {
			w := startWorkfront(t, 0)
			same := func(delay time.Duration) {
				behave(w, func(b *behaviour) { b.SameSession, b.ExchangeDelay = true, delay })
			}
			same(0)
			m := withRoles(t, issuing(t, sharedVault(t), w, nil))
			first := m.roleToken(t, freshRole)
			same(2 * time.Second)
			reading := m.startReaders(1, time.Hour, role, func(_ int, lease *api.Secret) error {
				if !w.SessionAlive(accessToken(lease)) {
					return fmt.Errorf("the token is no living session: %+v", w.Stats())
				}
				return nil
			})
			eventually(t, 10*time.Second, func() error {
				if n := w.Stats().Reissued; n != 1 {
					return fmt.Errorf("the session was returned again %d times, want 1", n)
				}
				return nil
			})
			m.revoke(t, first)
			reading.finish(t)
			same(0)
			m.revokeAll(t)
			m.wantBalance(t, w)
		})
	}
}
