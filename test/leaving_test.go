//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// leavers is how many readers go away in these tests.
const leavers = 5

// leaving has readers of a role go away while Workfront still works on the exchanges: when that many came, and Vault has got all
// of the requests. It returns when they are gone.
func (m *mount) leaving(t *testing.T, w *workfront, role string, exchanges int) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	before, err := m.inFlight(m.tokenPath(role)) // those that stay
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, leavers)
	for range leavers {
		go func() {
			_, err := m.client.Logical().ReadWithContext(ctx, m.tokenPath(role))
			left <- err
		}()
	}
	eventually(t, 10*time.Second, func() error {
		n, err := m.inFlight(m.tokenPath(role))
		if got := w.Stats().Exchanges; err == nil && (n < before+leavers || got < exchanges) {
			err = fmt.Errorf("%d readers wait and %d exchanges came, want %d and %d", n, got, before+leavers, exchanges)
		}
		return err
	})
	leave()
	for range leavers {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the reader to have left before the answer", err)
		}
	}
}

// wantCounts waits until the stand-in has counted so many exchanges, and sessions started and logged out.
func (w *workfront) wantCounts(t *testing.T, exchanges, started, loggedOut int) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if s := w.Stats(); s.Exchanges != exchanges || s.Started != started || s.LoggedOut != loggedOut {
			return fmt.Errorf("sessions: %+v; want %d exchanges, %d started, %d logged out", s, exchanges, started, loggedOut)
		}
		return nil
	})
}

// wantForNext waits until a session is there that nobody has leased, for the next reader of the shared role.
func (m *mount) wantForNext(t *testing.T, w *workfront) {
	t.Helper()
	w.wantCounts(t, 1, 1, 0)
	eventually(t, 10*time.Second, func() error {
		if all := m.sessions(t); len(all) != 1 {
			return fmt.Errorf("%d sessions are listed, want 1", len(all))
		}
		return nil
	})
}

// TestReadersLeave: an exchange goes on without its readers. A session of a reader's own is logged out then; a shared one is
// there for the next reader.
func TestReadersLeave(t *testing.T) {
	t.Parallel()
	slow := func(b *behaviour) { b.ExchangeDelay = 2 * time.Second }
	hang := func(at workfronttest.HangPoint) workfronttest.Fault {
		return workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: at}
	}
	for name, do := range map[string]func(t *testing.T, m *mount, w *workfront){
		"fresh": func(t *testing.T, m *mount, w *workfront) {
			behave(w, slow)
			m.leaving(t, w, freshRole, leavers)
			w.wantCounts(t, leavers, leavers, leavers)
		},
		"fresh, the same session for all": func(t *testing.T, m *mount, w *workfront) {
			behave(w, func(b *behaviour) { b.ExchangeDelay, b.SameSession = 2*time.Second, true })
			m.leaving(t, w, freshRole, leavers)
			eventually(t, 20*time.Second, func() error {
				if s := w.Stats(); s.Exchanges != leavers || s.Alive != 0 || s.Undelivered != 0 || s.Started != s.LoggedOut {
					return fmt.Errorf("sessions: %+v; want %d exchanges, and all logged out", s, leavers)
				}
				return nil
			})
		},
		"shared, all": func(t *testing.T, m *mount, w *workfront) {
			behave(w, slow)
			m.leaving(t, w, sharedRole, 1)
			m.wantForNext(t, w)
			m.revoke(t, m.roleToken(t, sharedRole))
			w.wantCounts(t, 1, 1, 1)
		},
		"shared, all but one": func(t *testing.T, m *mount, w *workfront) {
			behave(w, slow)
			stays := m.startReaders(1, time.Hour, sharedRole, m.useShared(w, 1))
			m.leaving(t, w, sharedRole, 1)
			stays.finish(t)
			w.wantCounts(t, 1, 1, 0)
			if got := m.leases(t, m.tokenPath(sharedRole)); got != 1 {
				t.Errorf("Vault knows %d leases, want 1", got)
			}
			m.wantBalance(t, w)
		},
		"fresh, Workfront hangs for a while": func(t *testing.T, m *mount, w *workfront) {
			remove := w.Inject(hang(workfronttest.HangBeforeHandling))
			m.leaving(t, w, freshRole, leavers)
			remove()
			w.wantCounts(t, leavers, leavers, leavers)
		},
		"shared, Workfront hangs for a while": func(t *testing.T, m *mount, w *workfront) {
			remove := w.Inject(hang(workfronttest.HangMidAnswer))
			m.leaving(t, w, sharedRole, 1)
			remove()
			m.wantForNext(t, w)
			m.delete(t, "roles/"+sharedRole) // now nobody can come for it any more
			w.wantCounts(t, 1, 1, 1)
		},
		"fresh, Workfront never answers": func(t *testing.T, m *mount, w *workfront) {
			w.undelivered = leavers // it started them, and nobody can know of them
			w.Inject(hang(workfronttest.HangBeforeAnswer))
			m.leaving(t, w, freshRole, leavers)
			w.wantCounts(t, leavers, leavers, 0)
		},
		"shared, Workfront never answers": func(t *testing.T, m *mount, w *workfront) {
			w.undelivered = 1
			w.Inject(hang(workfronttest.HangBeforeAnswer))
			m.leaving(t, w, sharedRole, 1)
			// Who comes later shares the failure of the exchange that is under way.
			_, err := m.readRole(sharedRole)
			wantError(t, err, http.StatusBadGateway, "did not answer")
			eventually(t, 10*time.Second, func() error { // else its answer could be taken for delivered
				if n := w.Stats().CallsUnderWay; n != 0 {
					return fmt.Errorf("%d calls are under way, want the exchange to be given up", n)
				}
				return nil
			})
			w.ClearFaults()
			w.wantCounts(t, 1, 1, 0)
			m.revoke(t, m.roleToken(t, sharedRole))
			w.wantCounts(t, 2, 2, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, sharedVault(t), w, field("request_timeout", "4s")))
			do(t, m, w)
			m.wantBalance(t, w)
			m.revokeAll(t)
			m.wantBalance(t, w)
		})
	}
}
