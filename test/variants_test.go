//go:build e2e

package test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// What Adobe's documentation, its OpenAPI document and public clients say of Workfront differs. Each of these tests is
// about a Workfront that is one way or the other.

// TestLogoutMethods: a session is logged out whichever method Workfront takes and however it refuses the other one, and
// what worked is tried first the next time.
func TestLogoutMethods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		methods workfronttest.LogoutMethods
		refusal int
		second  []string // the methods of the second logout
	}{
		{"both", workfronttest.LogoutBoth, 0, []string{"GET"}},
		{"GET only", workfronttest.LogoutGET, 405, []string{"GET"}},
		{"POST only, 405", workfronttest.LogoutPOST, 405, []string{"POST"}},
		{"POST only, 404", workfronttest.LogoutPOST, 404, []string{"POST"}},
		{"POST only, 400", workfronttest.LogoutPOST, 400, []string{"POST"}},
		{"POST only, 410", workfronttest.LogoutPOST, 410, []string{"POST"}},
		{"POST only, a page", workfronttest.LogoutPOST, 200, []string{"POST"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			behave(w, func(b *behaviour) { b.LogoutMethods, b.LogoutRefusal = c.methods, c.refusal })
			m := issuing(t, sharedVault(t), w, nil)
			first, second := m.token(t, ""), m.token(t, "")
			m.revoke(t, first)
			wantDead(t, w, first)
			before := len(w.Requests())
			m.revoke(t, second)
			wantDead(t, w, second)
			var methods []string
			for _, r := range w.Requests()[before:] {
				if r.Endpoint == workfronttest.EndpointLogout {
					methods = append(methods, r.Method)
				}
			}
			if fmt.Sprint(methods) != fmt.Sprint(c.second) {
				t.Errorf("the second logout was tried by %q, want %q", methods, c.second)
			}
			m.wantEmptyLedger(t)
			if checked := m.write(t, "check", nil).Data; checked["ok"] != true {
				t.Errorf("check: %v; want ok", checked)
			}
		})
	}
}

// deadSessions are the ways in which Workfront may say that it does not know a session.
var deadSessions = []struct {
	name   string
	sign   workfronttest.DeadSession
	status int
}{
	{"status alone", workfronttest.DeadByStatus, 401},
	{"class and 401", workfronttest.DeadByClass, 401},
	{"class and 200", workfronttest.DeadByClass, 200},
	{"class and 400", workfronttest.DeadByClass, 400},
	{"class and 500", workfronttest.DeadByClass, 500},
	{"message and 200", workfronttest.DeadByMessage, 200},
	{"message and 403", workfronttest.DeadByMessage, 403},
	{"message and 500", workfronttest.DeadByMessage, 500},
}

// grow waits until sessions that were just started are old enough for Workfront to be believed when it does not know them.
func grow(t *testing.T) {
	t.Helper()
	began := time.Now()
	eventually(t, 15*time.Second, func() error {
		if age := time.Since(began); age < 10*time.Second+500*time.Millisecond {
			return fmt.Errorf("the sessions are %s old", age)
		}
		return nil
	})
}

// TestDeadSessionIsGone: a session that Workfront does not know any more is never left pending, and check recognises one.
func TestDeadSessionIsGone(t *testing.T) {
	t.Parallel()
	for _, c := range deadSessions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			behave(w, func(b *behaviour) { b.DeadSession, b.DeadSessionStatus = c.sign, c.status })
			m := issuing(t, sharedVault(t), w, nil)
			revoked, deleted := m.token(t, ""), m.token(t, "")
			w.EndSession(accessToken(revoked))
			w.EndSession(accessToken(deleted))
			grow(t)
			m.revoke(t, revoked)
			m.delete(t, "sessions/"+sessionID(deleted))
			m.revoke(t, deleted)
			m.wantEmptyLedger(t)
			if checked := m.write(t, "check", nil).Data; checked["ok"] != true {
				t.Errorf("check: %v; want ok", checked)
			}
		})
	}
}

// TestDeadSharedSessionIsReplaced: the check in the background recognises a dead session, too. It comes at once after a
// start of the plugin.
func TestDeadSharedSessionIsReplaced(t *testing.T) {
	t.Parallel()
	v := ownVault(t) // its plugin is reloaded
	type broken struct {
		*mount
		w    *workfront
		dead string
	}
	var all []broken
	for _, c := range deadSessions {
		w := startWorkfront(t, 0)
		behave(w, func(b *behaviour) { b.DeadSession, b.DeadSessionStatus = c.sign, c.status })
		m := withRoles(t, issuing(t, v, w, nil))
		dead := accessToken(m.roleToken(t, sharedRole))
		w.EndSession(dead)
		all = append(all, broken{m, w, dead})
	}
	all[0].reloadPlugin(t)
	for i, b := range all {
		t.Run(deadSessions[i].name, func(t *testing.T) {
			eventually(t, 20*time.Second, func() error {
				if lease := b.roleToken(t, sharedRole); accessToken(lease) == b.dead {
					return errors.New("the dead session is still issued")
				}
				return nil
			})
			b.revokeAll(t)
			b.wantAllGone(t, b.w)
		})
	}
}

// TestRefusalForms: in whichever form a refusal comes, the reader is told what it says, if it says anything.
func TestRefusalForms(t *testing.T) {
	t.Parallel()
	wrongs := []struct {
		name    string
		setting map[string]any
		code    string
	}{
		{"client_secret", field("client_secret", canaryMark+"wrong"), "invalid_client"},
		{"customer_id", field("customer_id", "wrong"), "invalid_grant"},
	}
	for _, form := range []workfronttest.RefusalForm{
		workfronttest.RefusalOAuthService, workfronttest.RefusalRFC6749, workfronttest.RefusalAPI, workfronttest.RefusalMessage,
	} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			m := issuing(t, sharedVault(t), w, nil)
			for _, dressed := range []bool{false, true} {
				for _, tells := range []bool{false, true} {
					behave(w, func(b *behaviour) {
						b.RefusalForm, b.TellReasons = form, tells
						b.ErrorsAsHTML, b.ByteOrderMark = dressed, dressed
					})
					for _, wrong := range wrongs {
						m.configure(t, w, wrong.setting)
						_, err := m.readToken("")
						wantError(t, err, http.StatusBadRequest, "refused")
						if got := strings.Contains(fmt.Sprint(err), wrong.code); got != tells {
							t.Errorf("wrong %s, told %t, dressed %t: the code is in the error: %t: %v", wrong.name, tells, dressed, got, err)
						}
					}
					m.configure(t, w, nil)
					lease := m.token(t, "") // what is no refusal may begin with a byte order mark as well
					m.revoke(t, lease)
					wantDead(t, w, lease)
				}
			}
			m.wantEmptyLedger(t)
		})
	}
}

// TestRetiredVersion: tokens are still issued, their logouts take the path without a version, and check says which
// setting is to blame.
func TestRetiredVersion(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	old := m.token(t, "")
	behave(w, func(b *behaviour) { b.RetiredVersions = []string{"v22.0"} })
	checked := m.write(t, "check", nil).Data
	if text := fmt.Sprint(checked["causes"]); checked["ok"] != false || checked["failed_step"] != "7_call_as_user" || !strings.Contains(text, "api_version") {
		t.Errorf("check: %v; want the call to fail, and api_version as its cause", checked)
	}
	m.revoke(t, old) // the version that it pins is the one that is configured, and retired
	if w.SessionAlive(accessToken(old)) {
		t.Error("the session lives after its lease was revoked")
	}
	m.wantEmptyLedger(t)
	m.revoke(t, m.token(t, ""))
	if _, err := m.patch(map[string]any{"api_version": "v21.0", "verify_connection": true}); err != nil {
		t.Errorf("patch: %v", err)
	}
	m.revoke(t, m.token(t, ""))
	m.wantBalance(t, w)
}

// TestIdleSessions: a session that nobody used has expired long before its stated end. Nothing is left pending, and a
// shared one is replaced; one that is used lives on.
func TestIdleSessions(t *testing.T) {
	t.Parallel()
	clock := workfronttest.NewClock()
	w := startWorkfrontAt(t, 8*time.Hour, clock.Now)
	stated := "28800"
	advance := func(by, sum time.Duration) {
		clock.Advance(by)
		behave(w, func(b *behaviour) {
			b.SessionIdle, b.ExpiresIn = 15*time.Minute, &stated
			b.ClockOffset = -sum // JWTs are as fresh as ever
		})
	}
	advance(0, 0)
	m := withRoles(t, issuing(t, ownVault(t), w, map[string]any{"ttl": "1h"}))
	unused, used, shared := m.token(t, ""), m.token(t, ""), m.roleToken(t, sharedRole)
	advance(14*time.Minute, 14*time.Minute)
	if status, _ := w.call(t, accessToken(used)); status != http.StatusOK {
		t.Errorf("the session is answered with %d, want 200", status)
	}
	advance(2*time.Minute, 16*time.Minute)
	if w.SessionAlive(accessToken(unused)) || !w.SessionAlive(accessToken(used)) || w.SessionAlive(accessToken(shared)) {
		t.Fatal("the stand-in is not as the test needs it")
	}
	grow(t)
	m.revoke(t, unused)
	m.reloadPlugin(t) // so that the shared session is checked at once
	eventually(t, 20*time.Second, func() error {
		if lease := m.roleToken(t, sharedRole); !w.SessionAlive(accessToken(lease)) {
			return errors.New("the dead session is still issued")
		}
		return nil
	})
	m.revoke(t, used)
	wantDead(t, w, used)
	m.revokeAll(t)
	m.wantAllGone(t, w)
	m.wantEmptyLedger(t)
}

// TestCustomersLimit: Workfront lets a customer have ten calls at a time. Many more readers than that all get their tokens,
// also while other integrations of the customer use some of the ten, and so do those who give them back meanwhile.
func TestCustomersLimit(t *testing.T) {
	t.Parallel()
	const limit, reads, clients = 10, 80, 40
	for _, c := range []struct {
		name   string
		others int // calls that other integrations have under way all the time
	}{
		{"alone", 0},
		{"besides others", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			behave(w, func(b *behaviour) { b.MaxCalls, b.ExchangeDelay = limit, 100*time.Millisecond })
			m := issuing(t, sharedVault(t), w, nil)
			defer w.occupy(t, c.others)()

			var slowest atomic.Int64
			inParallel(t, reads, clients, func(int) error {
				began := time.Now()
				lease, err := m.readToken("")
				took := int64(time.Since(began))
				for before := slowest.Load(); took > before && !slowest.CompareAndSwap(before, took); before = slowest.Load() {
				}
				if err != nil {
					return err
				}
				if lease == nil || !w.SessionAlive(accessToken(lease)) {
					return errors.New("the token is no living session")
				}
				return m.tryRevoke(lease)
			})
			s := w.Stats()
			if s.Started != reads || s.LoggedOut != reads {
				t.Errorf("%d sessions were started and %d logged out, want %d of each", s.Started, s.LoggedOut, reads)
			}
			if c.others == 0 && (s.TooManyCalls > 0 || s.PeakCalls > 8) {
				t.Errorf("%d calls were under way at a time, and %d too many, want 8 at most, and none", s.PeakCalls, s.TooManyCalls)
			}
			measured("%s: %d reads by %d clients, a limit of %d calls: the slowest took %s, %d calls got a 429, %d were under way at most",
				t.Name(), reads, clients, limit, time.Duration(slowest.Load()).Round(time.Millisecond), s.TooManyCalls, s.PeakCalls)
		})
	}
}

// occupy has calls of another integration under way until the returned function is called.
func (w *workfront) occupy(t *testing.T, n int) (release func()) {
	t.Helper()
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Hang: workfronttest.HangBeforeHandling})
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() { w.call(t, workfronttest.NewID()) })
	}
	eventually(t, 10*time.Second, func() error {
		if got := w.Stats().CallsUnderWay; got != n {
			return fmt.Errorf("%d calls are under way, want %d", got, n)
		}
		return nil
	})
	return func() { remove(); calls.Wait() }
}
