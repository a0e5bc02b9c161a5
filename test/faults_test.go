//go:build e2e

package test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// upstreamFault is something that is wrong with Workfront, or with what Vault knows of it, and what a reader sees of it.
type upstreamFault struct {
	name     string
	settings map[string]any // of config; request_timeout is 2s else, which is for one exchange
	bring    func(t *testing.T, f *faulty)

	want      int      // the status
	texts     []string // of the message
	exchanges int      // how many came to Workfront: more than one only where none can have started a session
	hidden    int      // how many sessions were started all the same, and cannot be known
	atLeast   time.Duration
	held      bool // the host is not called for a while afterwards, because it asked for that
}

// faulty is a Workfront to be brought to its fault. elsewhere is another one, and trusted too, to which nothing may go.
type faulty struct {
	*workfront
	mount     *mount
	elsewhere *workfront
	times     int          // how many exchanges are to go wrong
	mend      func() error // ends the fault, if it does not end by itself
}

// reconfigured brings a fault about by a setting that is wrong.
func reconfigured(settings map[string]any) func(*testing.T, *faulty) {
	return func(t *testing.T, f *faulty) { f.mount.configure(t, f.workfront, settings) }
}

// exchangeFault has as many exchanges go wrong in that way as are expected. So it need not be removed, which would let a
// request that hangs go on, although its client has left.
func exchangeFault(fault workfronttest.Fault) func(*testing.T, *faulty) {
	return func(_ *testing.T, f *faulty) {
		fault.Endpoint = workfronttest.EndpointExchange
		if fault.Times == 0 {
			fault.Times = f.times
		}
		f.Inject(fault)
	}
}

// answered replaces the answer to an exchange, which is not carried out.
func answered(status int, body string, header ...string) func(*testing.T, *faulty) {
	fault := workfronttest.Fault{Status: status, Body: body, Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		fault.Header.Set(header[i], header[i+1])
	}
	return exchangeFault(fault)
}

// answeredTimes is answered for the first requests alone.
func answeredTimes(times, status int, header http.Header) func(*testing.T, *faulty) {
	return exchangeFault(workfronttest.Fault{Status: status, Times: times, Header: header})
}

// redirected sends the client to a host with the same path, or to another page of the same host.
func redirected(status int, away bool) func(*testing.T, *faulty) {
	return func(t *testing.T, f *faulty) {
		to := f.URL() + "/login"
		if away {
			to = f.elsewhere.URL() + "/integrations/oauth2/api/v1/jwt/exchange"
		}
		answered(status, "", "Location", to)(t, f)
	}
}

// secured gives Workfront another certificate or another version of TLS.
func secured(o workfronttest.TLSOptions) func(*testing.T, *faulty) {
	return func(t *testing.T, f *faulty) {
		f.mend = func() error { return f.SetTLS(workfronttest.TLSOptions{}) }
		if err := f.SetTLS(o); err != nil {
			t.Fatal(err)
		}
	}
}

// retryDate is a Retry-After that is a date.
func retryDate(status int, after time.Duration) func(*testing.T, *faulty) {
	return func(t *testing.T, f *faulty) {
		answered(status, "", "Retry-After", time.Now().Add(after).UTC().Format(http.TimeFormat))(t, f)
	}
}

const htmlPage = "<!doctype html><html><body>Sign in</body></html>"

// patience is a request_timeout that more than one exchange, and the waits between them, fit into, also on a busy machine.
var patience = field("request_timeout", "10s")

// upstreamFaults is the table. What the client or operator can mend is a 400, what Workfront has is a 502.
func upstreamFaults() []upstreamFault {
	hang := func(at workfronttest.HangPoint) func(*testing.T, *faulty) {
		return exchangeFault(workfronttest.Fault{Hang: at})
	}
	reset := func(at workfronttest.ResetPoint) func(*testing.T, *faulty) {
		return exchangeFault(workfronttest.Fault{Reset: at})
	}
	suspended := func(_ *testing.T, f *faulty) {
		f.Suspend()
		f.mend = f.Resume
	}
	html := []string{"Content-Type", "text/html"}
	return []upstreamFault{
		// No connection.
		{name: "refused", bring: suspended, want: 502, texts: []string{"not available", "connection refused"}},
		{name: "certificate of another name", bring: secured(workfronttest.TLSOptions{DNSNames: []string{"other.example"}}), want: 502, texts: []string{"no TLS connection could be made", "certificate"}},
		{name: "expired certificate", bring: secured(workfronttest.TLSOptions{NotAfter: time.Now().Add(-time.Hour)}), want: 502, texts: []string{"no TLS connection could be made", "certificate has expired"}},
		{name: "certificate of an unknown CA", bring: secured(workfronttest.TLSOptions{UnknownCA: true}), want: 502, texts: []string{"unknown CA", "ca_cert"}},
		{name: "no ca_cert", bring: reconfigured(field("ca_cert", "")), want: 502, texts: []string{"unknown CA", "ca_cert"}},
		{name: "TLS 1.1", bring: secured(workfronttest.TLSOptions{MaxVersion: tls.VersionTLS11}), want: 502, texts: []string{"no TLS connection", "version"}},

		// The connection breaks or hangs: the session may have been started.
		{name: "reset before the answer", bring: reset(workfronttest.ResetBeforeHandling), want: 502, texts: []string{"connection reset"}, exchanges: 1},
		{name: "reset after the start of the session", bring: reset(workfronttest.ResetAfterHandling), want: 502, texts: []string{"connection reset"}, exchanges: 1, hidden: 1},
		{name: "reset in the middle of the answer", bring: reset(workfronttest.ResetMidAnswer), want: 502, texts: []string{"connection"}, exchanges: 1, hidden: 1},
		{
			name: "answer that breaks off", bring: exchangeFault(workfronttest.Fault{Header: http.Header{"Content-Length": {"9999"}}}),
			want: 502, texts: []string{"closed the connection before its answer was complete"}, exchanges: 1, hidden: 1,
		},
		{name: "hang before the answer", bring: hang(workfronttest.HangBeforeHandling), want: 502, texts: []string{"did not answer"}, exchanges: 1},
		{name: "hang after the start of the session", bring: hang(workfronttest.HangBeforeAnswer), want: 502, texts: []string{"did not answer"}, exchanges: 1, hidden: 1},
		{name: "hang in the middle of the answer", bring: hang(workfronttest.HangMidAnswer), want: 502, texts: []string{"did not answer"}, exchanges: 1, hidden: 1},

		// Overload, which is tried again: nothing was started.
		{name: "429", settings: patience, bring: answered(429, ""), want: 502, texts: []string{"overloaded", "429"}, exchanges: 3},
		{name: "503", settings: patience, bring: answered(503, ""), want: 502, texts: []string{"503"}, exchanges: 3},
		{name: "503, no retries", settings: field("max_retries", 0), bring: answered(503, ""), want: 502, texts: []string{"503"}, exchanges: 1},
		{name: "503 with a message", settings: patience, bring: answered(503, `{"message":"maintenance"}`), want: 502, texts: []string{"503: maintenance"}, exchanges: 3},
		{name: "503 with a page", settings: patience, bring: answered(503, htmlPage, html...), want: 502, texts: []string{"503"}, exchanges: 3},
		{name: "503 twice, then an answer", settings: patience, bring: answeredTimes(2, 503, nil), want: 200, exchanges: 3},
		{name: "429 once, then an answer", settings: patience, bring: answeredTimes(1, 429, http.Header{"Retry-After": {"1"}}), want: 200, exchanges: 2, atLeast: time.Second},
		{name: "429, Retry-After fits once", settings: patience, bring: answered(429, "", "Retry-After", "6"), want: 502, texts: []string{"429"}, exchanges: 2, atLeast: 6 * time.Second},
		{name: "503, Retry-After fits once", settings: patience, bring: answered(503, "", "Retry-After", "6"), want: 502, texts: []string{"503"}, exchanges: 2, atLeast: 6 * time.Second},
		{name: "429, Retry-After does not fit", bring: answered(429, "", "Retry-After", "30"), want: 502, texts: []string{"429"}, exchanges: 1, held: true},
		{name: "503, Retry-After does not fit", bring: answered(503, "", "Retry-After", "3600"), want: 502, texts: []string{"503"}, exchanges: 1},
		{name: "503, absurd Retry-After", bring: answered(503, "", "Retry-After", "99999999999999999999"), want: 502, texts: []string{"503"}, exchanges: 1},
		{name: "503, Retry-After that means nothing", settings: patience, bring: answered(503, "", "Retry-After", "soon"), want: 502, texts: []string{"503"}, exchanges: 3},
		{name: "429, Retry-After is a date soon", settings: patience, bring: retryDate(429, 5*time.Second), want: 502, texts: []string{"429"}, exchanges: 3, atLeast: 3 * time.Second},
		{name: "429, Retry-After is a date in an hour", bring: retryDate(429, time.Hour), want: 502, texts: []string{"429"}, exchanges: 1, held: true},
		{name: "503, Retry-After is a date soon", settings: patience, bring: retryDate(503, 5*time.Second), want: 502, texts: []string{"503"}, exchanges: 3, atLeast: 3 * time.Second},
		{name: "503, Retry-After is a date in an hour", bring: retryDate(503, time.Hour), want: 502, texts: []string{"503"}, exchanges: 1},

		// Other statuses.
		{name: "500", bring: answered(500, ""), want: 502, texts: []string{"500"}, exchanges: 1},
		{name: "500 after the start of the session", bring: exchangeFault(workfronttest.Fault{Status: 500, Apply: true}), want: 502, texts: []string{"500"}, exchanges: 1, hidden: 1},
		{name: "502", bring: answered(502, htmlPage, html...), want: 502, texts: []string{"502"}, exchanges: 1},
		{name: "504", bring: answered(504, ""), want: 502, texts: []string{"504"}, exchanges: 1},
		{name: "400", bring: answered(400, `{"error":"invalid_grant"}`), want: 400, texts: []string{"400: invalid_grant", "client_secret"}, exchanges: 1},
		{name: "401", bring: answered(401, `{"message":"no"}`), want: 400, texts: []string{"401: no", "client_id", "keys/default"}, exchanges: 1},
		{name: "403", bring: answered(403, ""), want: 400, texts: []string{"403", "client_id"}, exchanges: 1},
		{name: "403 with a page", bring: answered(403, htmlPage, html...), want: 502, texts: []string{"403", "proxy or firewall"}, exchanges: 1},
		{name: "407 with a page", bring: answered(407, htmlPage, html...), want: 502, texts: []string{"407", "proxy or firewall"}, exchanges: 1},
		{name: "451 with a page", bring: answered(451, htmlPage, html...), want: 502, texts: []string{"451", "proxy or firewall"}, exchanges: 1},
		{name: "404", bring: answered(404, htmlPage, html...), want: 502, texts: []string{"404", "base_url"}, exchanges: 1},
		{name: "307 to another host", bring: redirected(307, true), want: 502, texts: []string{"redirect (HTTP status 307)", "base_url"}, exchanges: 1},
		{name: "307 to the same host", bring: redirected(307, false), want: 502, texts: []string{"redirect (HTTP status 307)"}, exchanges: 1},
		{name: "302 to another host", bring: redirected(302, true), want: 502, texts: []string{"redirect (HTTP status 302)"}, exchanges: 1},
		{name: "302 to the same host", bring: redirected(302, false), want: 502, texts: []string{"redirect (HTTP status 302)"}, exchanges: 1},
		{name: "301", bring: redirected(301, true), want: 502, texts: []string{"redirect"}, exchanges: 1},
		{name: "303", bring: redirected(303, true), want: 502, texts: []string{"redirect"}, exchanges: 1},
		{name: "308", bring: redirected(308, true), want: 502, texts: []string{"redirect"}, exchanges: 1},

		// Answers of status 2xx that are none.
		{name: "a page", bring: answered(200, htmlPage, html...), want: 502, texts: []string{"text/html", "base_url"}, exchanges: 1},
		{name: "204", bring: answered(204, ""), want: 502, texts: []string{"204", "JSON"}, exchanges: 1},
		{name: "truncated JSON", bring: exchangeFault(workfronttest.Fault{Body: `{"access_token":"a`, Apply: true}), want: 502, texts: []string{"JSON"}, exchanges: 1, hidden: 1},
		{name: "malformed JSON", bring: answered(200, `{"access_token":}`), want: 502, texts: []string{"JSON"}, exchanges: 1},
		{name: "a list", bring: answered(200, `[]`), want: 502, texts: []string{"JSON"}, exchanges: 1},
		{name: "null", bring: answered(200, `null`), want: 502, texts: []string{"JSON"}, exchanges: 1},
		{name: "an error", bring: answered(200, `{"error":"invalid_grant","error_description":"no such key"}`), want: 400, texts: []string{"invalid_grant: no such key"}, exchanges: 1},
		{name: "an error of the API", bring: answered(200, `{"error":{"class":"com.attask.common.APIException","message":"no"},"access_token":"a"}`), want: 400, texts: []string{"APIException: no"}, exchanges: 1},
		{name: "no access_token", bring: answered(200, `{"token_type":"sessionID"}`), want: 502, texts: []string{"no access_token"}, exchanges: 1},
		{name: "empty access_token", bring: answered(200, `{"access_token":""}`), want: 502, texts: []string{"no access_token"}, exchanges: 1},
		{name: "access_token is a number", bring: answered(200, `{"access_token":1}`), want: 502, texts: []string{"no access_token"}, exchanges: 1},
		{name: "access_token that no header carries", bring: answered(200, `{"access_token":"a\r\nb"}`), want: 502, texts: []string{"access_token", "header"}, exchanges: 1},
		{name: "access_token of 5 KB", bring: answered(200, `{"access_token":"`+strings.Repeat("a", 5000)+`"}`), want: 502, texts: []string{"access_token", "4096"}, exchanges: 1},
		{name: "10 MiB", bring: answered(200, `{"access_token":"a","more":"`+strings.Repeat("a", 10<<20)+`"}`), want: 502, texts: []string{"longer than 65536 bytes"}, exchanges: 1},
		{name: "10 MiB of error", bring: answered(400, `{"message":"`+strings.Repeat("a", 10<<20)+`"}`), want: 400, texts: []string{"HTTP status 400; ", "client_secret"}, exchanges: 1},

		// What config says is wrong. The stand-in gives no reason.
		{name: "wrong client secret", bring: reconfigured(field("client_secret", canaryMark+"wrong")), want: 400, texts: []string{"client_secret"}, exchanges: 1},
		{name: "wrong customer", bring: reconfigured(field("customer_id", "wrong")), want: 400, texts: []string{"customer_id"}, exchanges: 1},
		{name: "wrong client", bring: reconfigured(field("client_id", "wrong")), want: 400, texts: []string{"client_id"}, exchanges: 1},
		{name: "unknown user", bring: reconfigured(field("user_id", "wrong")), want: 400, texts: []string{"user_id"}, exchanges: 1},
	}
}

// TestUpstreamFaults: whatever goes wrong at Workfront, the reader is told in time, credentials go nowhere else, no session is
// lost that can be known, and the next read works.
func TestUpstreamFaults(t *testing.T) {
	t.Parallel()
	faults := upstreamFaults()
	for _, role := range []string{freshRole, sharedRole} {
		for _, c := range faults {
			t.Run(role+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.try(t, role)
			})
		}
	}
	t.Cleanup(func() { // when the parallel ones are over
		measured("%s: %d faults, each for a fresh and a shared session", t.Name(), len(faults))
	})
}

func (c upstreamFault) try(t *testing.T, role string) {
	w, elsewhere := startWorkfront(t, 0), startWorkfront(t, 0)
	w.undelivered = c.hidden
	// A refusal repeats all that was sent. The canary finds it if the plugin passes it on.
	behave(w, func(b *behaviour) { b.EchoRefusals = true })
	// Even a host that is trusted is none to be redirected to.
	settings := map[string]any{"ca_cert": w.CACert() + elsewhere.CACert(), "request_timeout": "2s"}
	for name, value := range c.settings {
		settings[name] = value
	}
	m := withRoles(t, issuing(t, sharedVault(t), w, settings))
	limit, err := time.ParseDuration(settings["request_timeout"].(string))
	if err != nil {
		t.Fatal(err)
	}

	f := &faulty{w, m, elsewhere, c.exchanges, func() error { return nil }}
	c.bring(t, f)
	began := time.Now()
	lease, err := m.readRole(role)
	took := time.Since(began)
	// The rest is what Vault and a busy machine need.
	if slack := 4 * time.Second; took > limit+slack || took < c.atLeast {
		t.Errorf("the read took %s, want %s to %s", took, c.atLeast, limit)
	}
	used := []*api.Secret{}
	if c.want == http.StatusOK {
		used = append(used, leased(t, lease, err))
	} else {
		wantError(t, err, c.want, c.texts...)
	}
	if got := w.Stats().Exchanges; got != c.exchanges {
		t.Errorf("%d exchanges came, want %d", got, c.exchanges)
	}
	wantCredentialsAtHome(t, w, elsewhere)
	if err := w.accounts(len(used)); err != nil {
		t.Error(err)
	}

	eventually(t, 10*time.Second, func() error { // who comes earlier shares the failure
		if n := w.Stats().CallsUnderWay; n != 0 {
			return fmt.Errorf("%d calls are under way, want the exchange to be given up", n)
		}
		return nil
	})
	if err := f.mend(); err != nil {
		t.Fatal(err)
	}
	m.configure(t, w, settings)
	if c.held {
		_, err := m.readRole(role)
		wantError(t, err, http.StatusServiceUnavailable, "429", "asks for none")
		if got := w.Stats().Exchanges; got != c.exchanges {
			t.Errorf("%d exchanges came, want none in the time that Workfront asked for", got-c.exchanges)
		}
		return
	}
	next := m.roleToken(t, role)
	if status, body := w.call(t, accessToken(next)); status != http.StatusOK {
		t.Errorf("the session of the next read is answered with %d: %s", status, body)
	}
	for _, lease := range append(used, next) {
		m.revoke(t, lease)
	}
	wantDead(t, w, next)
}

// wantCredentialsAtHome checks that a Workfront got nothing but exchanges in due form, and another host nothing at all.
func wantCredentialsAtHome(t *testing.T, w, elsewhere *workfront) {
	t.Helper()
	for _, r := range w.Requests() {
		if r.Endpoint != workfronttest.EndpointExchange || r.Method != http.MethodPost || len(r.QueryFields) > 0 || len(r.FormFields) != 3 {
			t.Errorf("a %s to %s came, with the fields %q and %q", r.Method, r.Path, r.QueryFields, r.FormFields)
		}
	}
	if n := elsewhere.Stats().Connections; n > 0 {
		t.Errorf("another host got %d connections", n)
	}
}
