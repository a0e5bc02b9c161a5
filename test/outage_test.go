//go:build e2e

package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestPendingLogoutIsRetried revokes while Workfront is down. The periodic job, which Vault runs each 60 seconds and
// lets nobody hurry, logs the session out afterwards. All but the wait is done before the parallel tests start, so
// that they run meanwhile.
func TestPendingLogoutIsRetried(t *testing.T) {
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	first, second := m.token(t, ""), m.token(t, "")
	w.Suspend()
	for _, lease := range []*api.Secret{first, second} {
		began := time.Now()
		m.revoke(t, lease)
		if took := time.Since(began); took > 6*time.Second { // a logout within a revocation has 5 s
			t.Errorf("a revocation took %s", took)
		}
		if _, err := m.root.Sys().Lookup(lease.LeaseID); err == nil {
			t.Error("a lease is still there after its revocation")
		}
	}
	_, err := m.readToken("")
	wantError(t, err, http.StatusBadGateway, "not available")
	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := w.accounts(2); err != nil {
		t.Fatal(err)
	}
	// What is pending does not keep new sessions from being issued and logged out.
	m.revoke(t, m.token(t, ""))
	t.Parallel()
	eventually(t, 150*time.Second, func() error { return w.accounts(0) })
	wantDead(t, w, first)
	wantDead(t, w, second)
}

// TestPendingByAnswer: Workfront answers, but does not confirm that the session has ended. An unclear 2xx is asked about once
// more, by GET and then by POST; what may be a method or path that it does not know is tried by POST, and what may pass again.
func TestPendingByAnswer(t *testing.T) {
	t.Parallel()
	elsewhere := startWorkfront(t, 0)
	html := http.Header{"Content-Type": {"text/html"}}
	for name, c := range map[string]struct {
		fault workfronttest.Fault
		calls int
	}{
		"success false":            {workfronttest.Fault{Body: `{"data":{"success":false}}`}, 4},
		"success as a string":      {workfronttest.Fault{Body: `{"data":{"success":"true"}}`}, 4},
		"success in another place": {workfronttest.Fault{Body: `{"success":true}`}, 4},
		"no success":               {workfronttest.Fault{Body: `{"data":{}}`}, 4},
		"null":                     {workfronttest.Fault{Body: `null`}, 4},
		"an error":                 {workfronttest.Fault{Body: `{"error":{"class":"c","message":"no"}}`}, 4},
		"an error and success":     {workfronttest.Fault{Body: `{"error":"no","data":{"success":true}}`}, 4},
		"nothing":                  {workfronttest.Fault{Status: 200}, 4},
		"204":                      {workfronttest.Fault{Status: 204}, 4},
		"a login page":             {workfronttest.Fault{Body: htmlPage, Header: html}, 4},
		"truncated":                {workfronttest.Fault{Body: `{"data":{"success":true}`}, 4},
		"10 MiB":                   {workfronttest.Fault{Body: `{"data":{"success":true},"more":"` + strings.Repeat("a", 10<<20) + `"}`}, 1},
		"400":                      {workfronttest.Fault{Status: 400}, 2},
		"403":                      {workfronttest.Fault{Status: 403, Body: `{"error":{"class":"c","message":"no"}}`}, 1},
		"404":                      {workfronttest.Fault{Status: 404, Body: htmlPage, Header: html}, 2},
		"429":                      {workfronttest.Fault{Status: 429}, 3},
		"429 for an hour":          {workfronttest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}}, 1},
		"500":                      {workfronttest.Fault{Status: 500}, 1},
		"502":                      {workfronttest.Fault{Status: 502, Body: htmlPage, Header: html}, 3},
		"503":                      {workfronttest.Fault{Status: 503}, 3},
		"504":                      {workfronttest.Fault{Status: 504}, 3},
		"a redirect":               {workfronttest.Fault{Status: 302, Header: http.Header{"Location": {"/login"}}}, 1},
		"a redirect to another host": {
			workfronttest.Fault{Status: 307, Header: http.Header{"Location": {elsewhere.URL() + "/attask/api/v22.0/logout"}}}, 1,
		},
		"a reset before handling": {workfronttest.Fault{Reset: workfronttest.ResetBeforeHandling}, 3},
		"an answer that breaks off": {
			workfronttest.Fault{Body: `{"data":{"success":true}}`, Header: http.Header{"Content-Length": {"9999"}}}, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			m := issuing(t, sharedVault(t), w, field("ca_cert", w.CACert()+elsewhere.CACert()))
			lease := m.token(t, "")
			c.fault.Endpoint = workfronttest.EndpointLogout
			w.Inject(c.fault)
			m.revoke(t, lease)
			// The periodic job may have come in between with a try of its own.
			if got := w.Stats().Logouts; got < c.calls || got > 2*c.calls {
				t.Errorf("%d logouts came, want %d", got, c.calls)
			}
			if err := w.accounts(1); err != nil {
				t.Error(err)
			}
			if got, want := m.list(t, pendingFolder), []string{sessionID(lease)}; !slices.Equal(got, want) {
				t.Errorf("the pending logouts are %q, want %q", got, want)
			}
			if read := m.read(t, "sessions/"+sessionID(lease)); read["state"] != "logout_pending" {
				t.Errorf("the session is %v, want logout_pending", read)
			}
			if n := elsewhere.Stats().Connections; n > 0 {
				t.Errorf("another host got %d connections", n)
			}
			m.giveUp(t, w, lease)
		})
	}
}

// TestLogoutSettledByAnotherTry: the session has ended, but the answer does not say so or is lost. That Workfront does not
// know the session any more settles it, unless the session is young and no logout of it has had a 2xx: then Workfront is
// asked once more, and the logout is pending until the session is old enough.
func TestLogoutSettledByAnotherTry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault workfronttest.Fault
		clear bool // it was a 2xx, if an unclear one
	}{
		"success false": {workfronttest.Fault{Body: `{"data":{"success":false}}`, Apply: true}, true},
		"a page":        {workfronttest.Fault{Body: htmlPage, Apply: true}, true},
		"nothing":       {workfronttest.Fault{Status: 204, Apply: true}, true},
		"503":           {workfronttest.Fault{Status: 503, Apply: true}, false},
		"a reset":       {workfronttest.Fault{Reset: workfronttest.ResetAfterHandling}, false},
		"breaks off":    {workfronttest.Fault{Header: http.Header{"Content-Length": {"9999"}}}, false},
	} {
		c.fault.Endpoint, c.fault.Times = workfronttest.EndpointLogout, 1
		for _, young := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, young %t", name, young), func(t *testing.T) {
				t.Parallel()
				w := startWorkfront(t, 0)
				m := issuing(t, sharedVault(t), w, nil)
				lease := m.token(t, "")
				returned := time.Now()
				if !young {
					outgrowYouth(t, returned)
				}
				w.Inject(c.fault)
				m.revoke(t, lease)
				wantDead(t, w, lease)
				calls := 2
				if young && !c.clear {
					calls++
					if read := m.read(t, "sessions/"+sessionID(lease)); read["state"] != "logout_pending" {
						t.Errorf("the session is %v, want logout_pending", read)
					}
				}
				if got := w.Stats().Logouts; got != calls {
					t.Errorf("%d logouts came, want %d", got, calls)
				}
				if young && !c.clear {
					outgrowYouth(t, returned)
					m.delete(t, "sessions/"+sessionID(lease))
				}
				m.wantEmptyLedger(t)
			})
		}
	}
}

// giveUp ends a test that leaves a logout pending, which the periodic job would log out too late for it.
func (m *mount) giveUp(t *testing.T, w *workfront, leases ...*api.Secret) {
	t.Helper()
	for _, lease := range leases {
		w.EndSession(accessToken(lease))
	}
	if err := m.root.Sys().Unmount(m.path); err != nil {
		t.Errorf("disable: %v", err)
	}
}

// TestDisableTriesPending: before the ledger goes, what is pending in it is tried once more (design 4), also if
// Workfront was down a moment ago.
func TestDisableTriesPending(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]workfronttest.Fault{
		"after success false": {Body: `{"data":{"success":false}}`},
		"after 500":           {Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := issuing(t, sharedVault(t), w, nil)
			lease := m.token(t, "")
			fault.Endpoint = workfronttest.EndpointLogout
			remove := w.Inject(fault)
			m.revoke(t, lease)
			if err := w.accounts(1); err != nil {
				t.Error(err)
			}
			remove()
			if err := m.root.Sys().Unmount(m.path); err != nil {
				t.Fatalf("disable: %v", err)
			}
			wantDead(t, w, lease)
		})
	}
}

// TestLogoutHangs: a revocation does not wait longer than 5 s for Workfront, and the lease is gone.
func TestLogoutHangs(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	first, second := m.token(t, ""), m.token(t, "")
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	began := time.Now()
	m.revoke(t, first)
	if took := time.Since(began); took < 3*time.Second || took > 8*time.Second {
		t.Errorf("the first revocation took %s, want about 5 s", took)
	}
	m.revoke(t, second) // Workfront is marked unavailable by now, so that none comes
	remove()
	eventually(t, 5*time.Second, func() error {
		if n := w.Stats().Logouts; n != 1 {
			return fmt.Errorf("%d logouts came, want 1", n)
		}
		return nil
	})
	m.giveUp(t, w, first, second)
}
