package workfront_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

const proxyPassword = "pr0xy-passw0rd"

// clientWith returns a client in an environment.
func clientWith(t *testing.T, e workfront.Endpoint, env map[string]string) *workfront.Client {
	t.Helper()
	clients := workfront.NewClients(workfront.ClientsOptions{Getenv: func(name string) string { return env[name] }})
	t.Cleanup(clients.Close)
	return clientOf(t, clients, e)
}

// net/http ignores a proxy that it cannot read, and connects without it.
func TestUnreadableProxySettings(t *testing.T) {
	t.Parallel()
	const good = "http://proxy.example:3128"
	tests := []struct {
		name string
		env  map[string]string
		want string // in the error; "" if there is nothing wrong
	}{
		{"none", nil, ""},
		{"a URL", map[string]string{"HTTPS_PROXY": good}, ""},
		{"host and port", map[string]string{"HTTPS_PROXY": "proxy.example:3128"}, ""},
		{"address and port", map[string]string{"https_proxy": "192.0.2.1:3128"}, ""},
		{"IPv6 address", map[string]string{"https_proxy": "http://[2001:db8::1]:3128/"}, ""},
		{"user and password", map[string]string{"HTTPS_PROXY": "http://u:" + proxyPassword + "@proxy.example:3128"}, ""},
		{"SOCKS", map[string]string{"HTTPS_PROXY": "socks5://proxy.example:1080"}, ""},
		{"upper case first", map[string]string{"HTTPS_PROXY": good, "https_proxy": "://"}, ""},
		{"HTTP_PROXY does not matter", map[string]string{"HTTP_PROXY": "://"}, ""},
		{"exceptions", map[string]string{"HTTPS_PROXY": good, "NO_PROXY": "localhost, .example.com,10.0.0.0/8,,[2001:db8::1]:443,*.a.example:8443,fd00::/8"}, ""},
		{"exceptions without a proxy do not matter", map[string]string{"NO_PROXY": "a b"}, ""},

		{"no host", map[string]string{"HTTPS_PROXY": "http://"}, "HTTPS_PROXY"},
		{"control character", map[string]string{"HTTPS_PROXY": "http://u:" + proxyPassword + "@proxy.example:3128\x7f"}, "HTTPS_PROXY"},
		{"blank", map[string]string{"HTTPS_PROXY": " " + good}, "HTTPS_PROXY"},
		{"lower case", map[string]string{"https_proxy": "://" + proxyPassword}, "https_proxy"},
		{"# in the password", map[string]string{"HTTPS_PROXY": "http://u:" + proxyPassword + "#1@proxy.example:3128"}, "HTTPS_PROXY"},
		{"/ in the password", map[string]string{"HTTPS_PROXY": "http://u:" + proxyPassword + "/1@proxy.example:3128"}, "HTTPS_PROXY"},
		{"% in the password", map[string]string{"HTTPS_PROXY": "http://u:" + proxyPassword + "%zz@proxy.example:3128"}, "HTTPS_PROXY"},
		{"no colon", map[string]string{"HTTPS_PROXY": "http//proxy.example:3128"}, "HTTPS_PROXY"},
		{"one slash", map[string]string{"HTTPS_PROXY": "http:/proxy.example:3128"}, "HTTPS_PROXY"},
		{"another scheme", map[string]string{"HTTPS_PROXY": "ftp://proxy.example:3128"}, "HTTPS_PROXY"},
		{"port of letters", map[string]string{"HTTPS_PROXY": "http://proxy.example:port"}, "HTTPS_PROXY"},
		{"port out of range", map[string]string{"HTTPS_PROXY": "http://proxy.example:65536"}, "HTTPS_PROXY"},
		{"half an IPv6 address", map[string]string{"HTTPS_PROXY": "http://[2001:db8::1"}, "HTTPS_PROXY"},
		{"exceptions with blanks", map[string]string{"HTTPS_PROXY": good, "NO_PROXY": "a.example b.example"}, "NO_PROXY"},
		{"exceptions with a bad block", map[string]string{"HTTPS_PROXY": good, "no_proxy": "a.example,10.0.0.0/33"}, "no_proxy"},
		{"exceptions with a URL", map[string]string{"HTTPS_PROXY": good, "NO_PROXY": "https://a.example"}, "NO_PROXY"},
		{"exceptions with a port alone", map[string]string{"HTTPS_PROXY": good, "NO_PROXY": ":443"}, "NO_PROXY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// A loopback address never goes through a proxy, so what is sent arrives.
			var connections atomic.Int64
			h := newHost(t, always(http.StatusOK, session("")), countConnections(&connections))
			c := clientWith(t, h.endpoint(), tt.env)
			want := success
			if tt.want != "" {
				want = permanent
			}
			_, err := exchangeWith(bounded(t), c, 2)
			checkOutcome(t, err, want)
			_, probeErr := c.Probe(bounded(t))
			checkOutcome(t, probeErr, want)
			if tt.want == "" {
				return
			}
			for _, err := range []error{err, probeErr} {
				if !strings.Contains(err.Error(), tt.want+" in the environment") || strings.Contains(err.Error(), proxyPassword) {
					t.Errorf("got %q, want %s in it and no password", err, tt.want)
				}
			}
			if h.count() > 0 || connections.Load() > 0 {
				t.Errorf("got %d requests, want nothing to be sent", h.count())
			}
		})
	}
}

// A proxy that is in the way is named, with its variable and without its password, and is no refusal of the credentials.
func TestProxyThatFails(t *testing.T) {
	t.Parallel()
	refusing := func(status int) string {
		var refused atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			// Each of the two calls may be tried once more.
			if n := refused.Add(1); n > 2 && status != http.StatusBadGateway {
				t.Errorf("the proxy was asked %d times, want no second try of what does not pass", n)
			}
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, "") }))
	t.Cleanup(closing.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	_ = closed.Close()
	tests := []struct {
		name, address string
		want          outcome
		wantText      string
	}{
		{"cannot be reached", gone, transient, "cannot be reached"},
		{"has no address", "proxy.invalid:3128", permanent, "cannot be reached"},
		{"demands a password", refusing(http.StatusProxyAuthRequired), permanent, "407"},
		{"forbids it", refusing(http.StatusForbidden), permanent, "403"},
		{"cannot reach Workfront", refusing(http.StatusBadGateway), transient, "502"},
		{"hangs up", closing.Listener.Addr().String(), transient, "closed the connection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := clientWith(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, map[string]string{
				"https_proxy": "http://user:" + proxyPassword + "@" + tt.address,
			})
			if tt.address == "proxy.invalid:3128" {
				c.ResolveNothing()
			}
			_, err := exchangeWith(bounded(t), c, 1)
			for what, err := range map[string]error{"exchange": err, "logout": logOutOnce(bounded(t), c)()} {
				checkOutcome(t, err, tt.want)
				var u *workfront.UnavailableError
				if !errors.As(err, &u) {
					t.Errorf("%s: got %v, want an UnavailableError", what, err)
					continue
				}
				proxy := "http://" + tt.address + " (https_proxy)"
				if u.Proxy != proxy || !strings.Contains(u.Reason, proxy) || !strings.Contains(u.Reason, tt.wantText) {
					t.Errorf("%s: got %q through %q, want %q and %q in it", what, u.Reason, u.Proxy, proxy, tt.wantText)
				}
				if strings.Contains(err.Error(), proxyPassword) {
					t.Errorf("%s: got %q, want no password in it", what, err)
				}
			}
		})
	}
}

// A proxy that opens connections to TLS itself may ask for its password inside of one.
func TestProxyAuthenticationInsideTheTunnel(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusProxyAuthRequired, `{"error":"invalid_client"}`))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("got %s, want CONNECT", r.Method)
			return
		}
		there, err := net.Dial("tcp", h.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			_, _ = io.Copy(there, here)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	}))
	t.Cleanup(proxy.Close)
	// The name is in the certificate of httptest.
	c := clientWith(t, workfront.Endpoint{BaseURL: "https://example.com", CACert: h.endpoint().CACert},
		map[string]string{"HTTPS_PROXY": proxy.URL})
	_, err := exchangeWith(bounded(t), c, 2)
	checkOutcome(t, err, permanent)
	var u *workfront.UnavailableError
	if errors.As(err, &u) && (u.Proxy != proxy.URL+" (HTTPS_PROXY)" || u.Status != http.StatusProxyAuthRequired) {
		t.Errorf("got %+v, want the proxy in it", u)
	}
	if got, want := h.count(), 1; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

// A proxy that does not answer is told from a Workfront that does not.
func TestProxyThatHangs(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hanging.Close() })
	c := clientWith(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"},
		map[string]string{"HTTPS_PROXY": hanging.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = exchangeWith(ctx, c, 0)
	checkOutcome(t, err, transient)
	if want := "through the proxy http://" + hanging.Addr().String(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
}
