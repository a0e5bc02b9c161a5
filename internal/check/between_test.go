package check_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// A page with such a status is what stands in between, and no word of the key.
func TestPagesFromInBetween(t *testing.T) {
	for _, status := range []int{403, 407, 451} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			f := newFixture(t, nil)
			exchangeAnswers(status, "<html>blocked</html>", "text/html")(f)
			causes := f.wantFailure(check.Request{}, "6_exchange", "A proxy or firewall answered in place of "+f.URL())
			if len(causes) != 1 || !strings.Contains(causes[0], strconv.Itoa(status)) {
				t.Errorf("got %q, want one cause that names the status", causes)
			}
		})
	}
}

// The cause names the proxy and the variable that it came from, and neither user nor password.
func TestProxies(t *testing.T) {
	answering := func(status int) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		}))
		t.Cleanup(proxy.Close)
		return strings.TrimPrefix(proxy.URL, "http://")
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, tt := range []struct{ name, proxy, cause string }{
		{"not resolved", "proxy.invalid:3128", "The name of the proxy http://proxy.invalid:3128 (HTTPS_PROXY) cannot " +
			"be resolved"},
		{"refuses connections", strings.TrimPrefix(closed.URL, "http://"), "Nothing accepts connections at the proxy " +
			"http://127.0.0.1:"},
		{"demands a password", answering(407), "(HTTPS_PROXY) demands authentication (HTTP status 407)"},
		{"forbids it", answering(403), "(HTTPS_PROXY), or a firewall behind it, does not let the connection to " +
			"https://acme.my.workfront.com through"},
		{"cannot reach it", answering(502), "(HTTPS_PROXY), or a firewall behind it, does not let the connection to " +
			"https://acme.my.workfront.com through"},
		{"cannot be read", "proxy:99999", "Nothing was sent, because HTTPS_PROXY in the environment of Vault has a " +
			"port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", "http://user:Pa55word@"+tt.proxy)
			t.Setenv("NO_PROXY", "")
			t.Setenv("no_proxy", "")
			f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
			f.move(settings.Changes{settings.FieldBaseURL: "https://acme.my.workfront.com"})
			causes := f.wantFailure(check.Request{}, "4_connection", tt.cause)
			if len(causes) != 1 || strings.Contains(causes[0], "user:") || strings.Contains(causes[0], "Pa55word") {
				t.Errorf("got %q, want one cause without user and password", causes)
			}
		})
	}
}

// A call that waits in vain for its turn says nothing of Workfront.
func TestNoTurn(t *testing.T) {
	f := newFixture(t, settings.Changes{settings.FieldMaxConnections: 2, settings.FieldRequestTimeout: time.Second})
	resolved, err := f.store.Resolve(t.Context(), f.storage, mount, "")
	if err != nil {
		t.Fatal(err)
	}
	f.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	patient := resolved.Source
	patient.RequestTimeout = time.Minute
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := f.broker.Issue(t.Context(), f.storage, patient); err != nil {
			t.Error(err)
		}
	}()
	await.That(t, "the call is under way", func() bool { return f.Stats().CallsUnderWay > 0 })
	f.wantFailure(check.Request{}, "4_connection", "1 calls of this mount to Workfront are under way, and "+
		"max_connections is 2")
	f.ClearFaults()
	<-done
}
