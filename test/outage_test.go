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

// TestParkedLogoutIsRetried revokes while Workfront is down. The periodic job, which Vault runs each 60 seconds and
// lets nobody hurry, logs the session out afterwards. All but the wait is done before the parallel tests start, so
// that they run meanwhile.
func TestParkedLogoutIsRetried(t *testing.T) {
	w := startWorkfront(t, 0)
	m := lending(t, sharedVault(t), w, nil)
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
	// What is parked does not keep new sessions from being lent and ended.
	m.revoke(t, m.token(t, ""))
	t.Parallel()
	eventually(t, 150*time.Second, func() error { return w.accounts(0) })
	wantDead(t, w, first)
	wantDead(t, w, second)
}

// TestParkedByAnswer: Workfront answers, but does not confirm that the session has ended.
func TestParkedByAnswer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]workfronttest.Fault{
		"success false":           {Body: `{"data":{"success":false}}`},
		"a login page":            {Body: "<html>Sign in</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"500":                     {Status: 500},
		"403":                     {Status: 403, Body: `{"error":{"class":"c","message":"no"}}`},
		"a redirect":              {Status: 302, Header: http.Header{"Location": {"/login"}}},
		"a reset before handling": {Reset: workfronttest.ResetBeforeHandling},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := lending(t, sharedVault(t), w, nil)
			lease := m.token(t, "")
			fault.Endpoint = workfronttest.EndpointLogout
			w.Inject(fault)
			m.revoke(t, lease)
			if err := w.accounts(1); err != nil {
				t.Error(err)
			}
			if got, want := m.list(t, "parked"), []string{lease.Data["session_id"].(string)}; !slices.Equal(got, want) {
				t.Errorf("parked are %q, want %q", got, want)
			}
			m.giveUp(t, w, lease)
		})
	}
}

// giveUp ends a test that leaves a session parked, which the periodic job would log out too late for it.
func (m *mount) giveUp(t *testing.T, w *workfront, leases ...*api.Secret) {
	t.Helper()
	for _, lease := range leases {
		w.EndSession(accessToken(lease))
	}
	if err := m.root.Sys().Unmount(m.path); err != nil {
		t.Errorf("disable: %v", err)
	}
}

// TestDisableTriesParked: before the ledger goes, what is parked in it is tried once more (design 4), also if
// Workfront was down a moment ago.
func TestDisableTriesParked(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]workfronttest.Fault{
		"after success false": {Body: `{"data":{"success":false}}`},
		"after 500":           {Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := lending(t, sharedVault(t), w, nil)
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
	m := lending(t, sharedVault(t), w, nil)
	first, second := m.token(t, ""), m.token(t, "")
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	began := time.Now()
	m.revoke(t, first)
	if took := time.Since(began); took < 3*time.Second || took > 8*time.Second {
		t.Errorf("the first revocation took %s, want about 5 s", took)
	}
	began = time.Now()
	m.revoke(t, second) // Workfront is known to be down by now
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the second revocation took %s, want no wait", took)
	}
	remove()
	eventually(t, 5*time.Second, func() error {
		if n := w.Stats().Logouts; n != 1 {
			return fmt.Errorf("%d logouts came, want 1", n)
		}
		return nil
	})
	m.giveUp(t, w, first, second)
}

// TestExchangeFailures: what the client or operator can mend is a 400, what Workfront has is a 502. Tried again is only
// what cannot have started a session.
func TestExchangeFailures(t *testing.T) {
	t.Parallel()
	status := func(code, times int) *workfronttest.Fault { return &workfronttest.Fault{Status: code, Times: times} }
	for _, c := range []struct {
		name      string
		fault     *workfronttest.Fault
		suspend   bool
		settings  map[string]any
		want      int // the status, 200 if a token is expected
		text      string
		exchanges int
	}{
		{name: "wrong client secret", settings: map[string]any{"client_secret": canaryMark + "wrong"}, want: 400, text: "client_secret", exchanges: 1},
		{name: "wrong customer", settings: map[string]any{"customer_id": "wrong"}, want: 400, text: "customer_id", exchanges: 1},
		{name: "wrong client", settings: map[string]any{"client_id": "wrong"}, want: 400, text: "client_id", exchanges: 1},
		{name: "unknown user", settings: map[string]any{"user_id": "wrong"}, want: 400, text: "user_id", exchanges: 1},
		{name: "down", suspend: true, settings: map[string]any{"max_retries": 1}, want: 502, text: "not available", exchanges: 0},
		{name: "503 twice, then an answer", fault: status(503, 2), settings: map[string]any{"max_retries": 2}, want: 200, exchanges: 3},
		{name: "429 once, then an answer", fault: status(429, 1), settings: map[string]any{"max_retries": 1}, want: 200, exchanges: 2},
		{name: "503 for longer than max_retries", fault: status(503, 0), settings: map[string]any{"max_retries": 1}, want: 502, text: "503", exchanges: 2},
		{name: "503 and no retries", fault: status(503, 0), settings: map[string]any{"max_retries": 0}, want: 502, text: "503", exchanges: 1},
		{name: "429 for ever", fault: status(429, 0), settings: map[string]any{"max_retries": 1}, want: 502, text: "429", exchanges: 2},
		{
			name:  "Retry-After beyond request_timeout",
			fault: &workfronttest.Fault{Status: 503, Header: http.Header{"Retry-After": {"3600"}}}, want: 502, text: "503", exchanges: 1,
		},
		{name: "500 is not repeated", fault: status(500, 0), want: 502, text: "500", exchanges: 1},
		{name: "502 may hide a session", fault: status(502, 0), want: 502, text: "502", exchanges: 1},
		{name: "504 may hide a session", fault: status(504, 0), want: 502, text: "504", exchanges: 1},
		{name: "a reset may hide a session", fault: &workfronttest.Fault{Reset: workfronttest.ResetBeforeHandling}, want: 502, text: "connection", exchanges: 1},
		{
			name:  "no answer in request_timeout",
			fault: &workfronttest.Fault{Hang: workfronttest.HangBeforeHandling}, settings: map[string]any{"request_timeout": "1s"},
			want: 502, text: "did not answer", exchanges: 1,
		},
		{name: "no JSON", fault: &workfronttest.Fault{Body: "<html></html>"}, want: 502, text: "base_url", exchanges: 1},
		{name: "no token", fault: &workfronttest.Fault{Body: "{}"}, want: 502, text: "access_token", exchanges: 1},
		{name: "400", fault: &workfronttest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}, want: 400, text: "invalid_grant", exchanges: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			// The answer repeats all that was sent. The canary finds it if the plugin passes it on.
			behave(w, func(b *behaviour) { b.EchoRefusals = true })
			m := lending(t, sharedVault(t), w, c.settings)
			if c.fault != nil {
				c.fault.Endpoint = workfronttest.EndpointExchange
				w.Inject(*c.fault)
			}
			if c.suspend {
				w.Suspend()
			}
			lease, err := m.readToken("")
			if c.want == http.StatusOK {
				if err != nil {
					t.Fatalf("read token: %v", err)
				}
				m.revoke(t, lease)
			} else {
				wantError(t, err, c.want, c.text)
			}
			if got := w.Stats().Exchanges; got != c.exchanges {
				t.Errorf("%d exchanges, want %d", got, c.exchanges)
			}
		})
	}
}

// TestRedirectIsNotFollowed: neither credentials nor sessions go to a host that an answer names.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := startWorkfront(t, 0)
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			w := startWorkfront(t, 0)
			// Even a host that is trusted is none to be redirected to.
			m := lending(t, sharedVault(t), w, map[string]any{"ca_cert": w.CACert() + elsewhere.CACert()})
			lease := m.token(t, "")
			w.Inject(workfronttest.Fault{Status: status, Header: http.Header{
				"Location": {elsewhere.URL() + "/integrations/oauth2/api/v1/jwt/exchange"},
			}})
			_, err := m.readToken("")
			wantError(t, err, http.StatusBadGateway, "redirect")
			m.revoke(t, lease)
			if n := elsewhere.Stats().Connections; n > 0 {
				t.Errorf("the host of the redirect got %d connections", n)
			}
			m.giveUp(t, w, lease)
		})
	}
}

// TestUntrustedCertificate: without its CA the server gets nothing, and the error says what to set.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := lending(t, sharedVault(t), w, map[string]any{"ca_cert": ""})
	_, err := m.readToken("")
	wantError(t, err, http.StatusBadGateway, "ca_cert")
	if n := len(w.Requests()); n > 0 {
		t.Errorf("%d requests came, want none", n)
	}
}

// TestReaderLeaves: a session that nobody waits for any more is ended.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	behave(w, func(b *behaviour) { b.ExchangeDelay = 2 * time.Second })
	m := lending(t, sharedVault(t), w, nil)
	hasty, err := m.NewClient(m.root.Token())
	if err != nil {
		t.Fatal(err)
	}
	hasty.SetClientTimeout(500 * time.Millisecond)
	if _, err := hasty.Logical().Read(m.path + "/token"); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Fatalf("got %v, want the client's own deadline", err)
	}
	eventually(t, 20*time.Second, func() error {
		if s := w.Stats(); s.Started != 1 || s.LoggedOut != 1 {
			return fmt.Errorf("sessions: %+v; want the one logged out", s)
		}
		return nil
	})
}

// exchangeAnswer replaces the answer to the next exchange.
func exchangeAnswer(body string) workfronttest.Fault {
	return workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Times: 1, Body: body}
}
