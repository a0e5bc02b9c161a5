package workfront_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// What an operator has to mend is told at once: no attempt after the first would go better.
func TestUntrustedTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		tls      workfronttest.TLSOptions
		ownCA    bool // trust the stand-in's CA
		want     string
		wantHint bool // of ca_cert
	}{
		{"unknown CA beside one's own", workfronttest.TLSOptions{UnknownCA: true}, true, "certificate", true},
		{"system's roots alone", workfronttest.TLSOptions{}, false, "certificate", true},
		{"wrong host name", workfronttest.TLSOptions{DNSNames: []string{"elsewhere.example"}}, true, "certificate", false},
		{"expired", workfronttest.TLSOptions{NotAfter: time.Now().Add(-time.Hour)}, true, "expired", false},
		{"TLS 1.1", workfronttest.TLSOptions{MaxVersion: tls.VersionTLS11}, true, "protocol version", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{TLS: tt.tls})
			e := s.endpoint()
			if !tt.ownCA {
				e.CACert = ""
			}
			c := newClient(t, e, time.Now)
			ctx, count := dials(bounded(t), func(int) {})
			_, err := c.Exchange(ctx, s.request(t, 2))
			checkOutcome(t, err, permanent)
			if err == nil {
				t.FailNow()
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			if got := strings.Contains(err.Error(), "ca_cert"); got != tt.wantHint {
				t.Errorf("got %q, want ca_cert in it: %t", err, tt.wantHint)
			}
			checkOutcome(t, c.Logout(ctx, workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, MaxRetries: 2}), permanent)
			if got, want := count.Load(), int64(2); got != want {
				t.Errorf("got %d connection attempts for two calls, want %d", got, want)
			}
			if got, want := len(s.Requests()), 0; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

// A certificate can be named after a secret: it is named by its fingerprint, and none of Go's text is shown.
func TestCertificatesAreNamedByFingerprint(t *testing.T) {
	t.Parallel()
	const mark = "s3cretmark.example"
	for name, o := range map[string]workfronttest.TLSOptions{
		"wrong name": {DNSNames: []string{mark}},
		"unknown CA": {DNSNames: []string{mark}, UnknownCA: true},
		"expired":    {DNSNames: []string{mark}, NotAfter: time.Now().Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{TLS: o})
			_, err := newClient(t, s.endpoint(), time.Now).Exchange(bounded(t), s.request(t, 0))
			checkSecrecy(t, err, mark, "x509", "tls:")
			if !regexp.MustCompile(`SHA-256 fingerprint ([0-9A-F]{2}:){31}[0-9A-F]{2}\)`).MatchString(err.Error()) {
				t.Errorf("got %q, want the fingerprint in it", err)
			}
		})
	}
}

// A connection that ends is told apart by when it does: in the handshake, or before the answer. One that ends within
// it, or too late, is neither.
func TestConnectionsThatEnd(t *testing.T) {
	t.Parallel()
	closer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	go func() {
		for {
			conn, err := closer.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	before := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, "") })
	within := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		reply(w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")
	})
	for name, tt := range map[string]struct {
		endpoint          workfront.Endpoint
		handshake, cutOff bool
	}{
		"handshake": {workfront.Endpoint{BaseURL: "https://" + closer.Addr().String()}, true, false},
		"before":    {before.endpoint(), false, true},
		"within":    {within.endpoint(), false, false},
	} {
		_, err := exchangeWith(bounded(t), newClient(t, tt.endpoint, time.Now), 0)
		var u *workfront.UnavailableError
		if !errors.As(err, &u) || u.Handshake != tt.handshake || u.CutOff != tt.cutOff {
			t.Errorf("%s: got %#v (%v), want handshake: %t, cut off: %t", name, u, err, tt.handshake, tt.cutOff)
		}
	}
}

// The host of a redirect is shown if it is another one of the same customer's.
func TestRedirectHosts(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://acme.my.workfront.adobe.com/x":            "acme.my.workfront.adobe.com",
		"https://ACME.preview.workfront.com/":              "acme.preview.workfront.com",
		"https://acme.sb01.workfront.adobe.com":            "acme.sb01.workfront.adobe.com",
		"https://acme.s3cret.workfront.com/":               "(another host)",
		"https://other.my.workfront.com/":                  "(another host)",
		"https://acme.my.workfront.com.evil.example/":      "(another host)",
		"https://acme.example.com/":                        "(another host)",
		"https://acmes3cret.my.workfront.com/":             "(another host)",
		"https://[":                                        "(another host)",
		"":                                                 "(another host)",
		"/login":                                           "another page of the same host",
		"https://acme.my.workfront.com:443/login?x=s3cret": "another page of the same host",
	} {
		c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
		c.Over(script(func(r *http.Request) *http.Response {
			resp := scripted(http.StatusFound, "text/html", "")
			resp.Request = r
			if location != "" {
				resp.Header.Set("Location", location)
			}
			return resp
		}))
		_, err := exchangeWith(bounded(t), c, 0)
		var u *workfront.UnavailableError
		if !errors.As(err, &u) || u.Redirect != want {
			t.Errorf("%s: got %#v, want a redirect to %s", location, u, want)
		}
	}
}

func TestTLS12IsEnough(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{TLS: workfronttest.TLSOptions{MaxVersion: tls.VersionTLS12}})
	_, err := newClient(t, s.endpoint(), time.Now).Exchange(bounded(t), s.request(t, 0))
	checkOutcome(t, err, success)
}

// Credentials never travel in the clear, and a port that speaks plain HTTP is a wrong port, which stays one.
func TestPlainHTTPBehindHTTPS(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	t.Cleanup(plain.Close)
	c := newClient(t, workfront.Endpoint{BaseURL: "https" + strings.TrimPrefix(plain.URL, "http")}, time.Now)
	ctx, count := dials(bounded(t), func(int) {})
	_, err := exchangeWith(ctx, c, 2)
	checkOutcome(t, err, permanent)
	if got, want := count.Load(), int64(1); got != want {
		t.Errorf("got %d connection attempts, want %d", got, want)
	}
	if got, want := requests.Load(), int64(0); got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

func TestClientCACert(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	good := s.CACert()
	damaged := strings.Replace(good, "\nM", "\n!", 1)
	if damaged == good {
		t.Fatal("the certificate was not damaged")
	}
	key := "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
	tests := []struct {
		name, caCert string
		ok           bool
	}{
		{"none", "", true},
		{"one", good, true},
		{"two", good + good, true},
		{"text in front", "subject=CN = Example CA\n\n" + good, true},
		{"text in between", good + "\nsubject=CN = Example CA\n" + good, true},
		{"CRLF", strings.ReplaceAll(good, "\n", "\r\n"), true},
		{"white space", " \n", false},
		{"not PEM", "acme-ca", false},
		{"a file name", "@ca.pem", false},
		{"private key", key, false},
		{"damaged", damaged, false},
		{"no end", good[:len(good)/2], false},
		{"a block that is no certificate inside", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", false},
		// Stored, it would be shown to whoever reads the configuration.
		{"private key behind a certificate", good + key, false},
		{"private key before a certificate", key + good, false},
		// Left out in silence, it would be missed only once the server uses it.
		{"unreadable certificate behind a good one", good + "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, newErr := workfront.NewClients(workfront.ClientsOptions{}).Client(workfront.Endpoint{BaseURL: s.URL(), CACert: tt.caCert})
			for name, err := range map[string]error{"Client": newErr, "ParseCACert": workfront.ParseCACert(tt.caCert)} {
				if ok := err == nil; ok != tt.ok {
					t.Errorf("%s: got %v, want an error: %t", name, err, !tt.ok)
				}
				if want := "CERTIFICATE"; err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %q, want it to say what to give", name, err)
				}
			}
		})
	}
}

// An operator who gives a CA for a gateway must not lose Workfront itself, and the other way round.
func TestCACertAddsToTheRoots(t *testing.T) {
	t.Parallel()
	first, second := newStandIn(t, workfronttest.Options{}), newStandIn(t, workfronttest.Options{})
	both := first.CACert() + second.CACert()
	for _, s := range []*standIn{first, second} {
		c := newClient(t, workfront.Endpoint{BaseURL: s.URL(), CACert: both}, time.Now)
		_, err := c.Exchange(bounded(t), s.request(t, 0))
		checkOutcome(t, err, success)
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"same host", "other host", "plain http"} {
			t.Run(http.StatusText(status)+" to "+to, func(t *testing.T) {
				t.Parallel()
				var reached atomic.Int64
				reach := func(http.ResponseWriter, *http.Request) { reached.Add(1) }
				// Servers of httptest share a certificate, so the other one would be trusted.
				other := httptest.NewTLSServer(http.HandlerFunc(reach))
				t.Cleanup(other.Close)
				plain := httptest.NewServer(http.HandlerFunc(reach))
				t.Cleanup(plain.Close)
				location := map[string]string{"same host": "/elsewhere", "other host": other.URL, "plain http": plain.URL}[to]
				h := newHost(t, always(status, "", "Location", location))
				c := newClient(t, h.endpoint(), time.Now)
				_, err := exchangeWith(bounded(t), c, 2)
				checkOutcome(t, err, permanent)
				if want := "redirect"; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
				checkOutcome(t, c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, MaxRetries: 2}), permanent)
				if got, want := h.count(), 2; got != want {
					t.Errorf("the host: got %d requests for two calls, want %d", got, want)
				}
				if got, want := reached.Load(), int64(0); got != want {
					t.Errorf("elsewhere: got %d requests, want %d", got, want)
				}
			})
		}
	}
}

// A redirect that leads nowhere is one all the same: it does not pass by itself.
func TestRedirectWithAnUnreadableLocation(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusFound, "", "Location", "https://[bad"))
	_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 2)
	checkOutcome(t, err, permanent)
	if got, want := h.count(), 1; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

// A server that takes the connection over must not keep the caller beyond the deadline.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	release, closed := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(release)
		<-closed
	})
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		defer close(closed)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"))
		<-release
		_ = conn.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	c := newClient(t, h.endpoint(), time.Now)
	done := make(chan error, 1)
	go func() {
		_, err := exchangeWith(ctx, c, 0)
		done <- err
	}()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	select {
	case err := <-done:
		if err == nil {
			t.Error("got no error, want one")
		}
	case <-late.C:
		t.Error("the call goes on long after its deadline, want it over by then")
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	for range 50 {
		if _, err := c.Exchange(bounded(t), s.request(t, 0)); err != nil {
			t.Fatal(err)
		}
	}
	// net/http does not keep a connection whose request it has not seen written within 50 ms, as happens on a busy machine.
	if got := s.Stats().Connections; got < 1 || got > 25 {
		t.Errorf("got %d connections for 50 exchanges, want one that is kept", got)
	}
}

// A call may be about to begin when the clients are closed. What it leaves open then would stay so until it times out.
func TestClosedClientsKeepNoConnection(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	clients := workfront.NewClients(workfront.ClientsOptions{})
	c := clientOf(t, clients, s.endpoint())
	s.start(t, c)
	clients.Close()
	for _, c := range []*workfront.Client{c, clientOf(t, clients, s.endpoint()), clientOf(t, clients, workfront.Endpoint{BaseURL: s.URL(), CACert: s.CACert() + "\n"})} {
		s.start(t, c)
		s.start(t, c)
	}
	if got, want := s.Stats().Connections, 7; got != want {
		t.Errorf("7 calls, 6 of them after Close: got %d connections, want %d, none of them kept for another call", got, want)
	}
}

// A call that was under way when the clients were closed, and one that begins then, leave nothing open, whichever ends last.
func TestClosedClientsUnderWayKeepNoConnection(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	release := s.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Times: 1, Hang: workfronttest.HangBeforeHandling})
	clients := workfront.NewClients(workfront.ClientsOptions{})
	c := clientOf(t, clients, s.endpoint())
	ctx, request, underWay := bounded(t), s.request(t, 0), make(chan error, 1)
	go func() {
		_, err := c.Exchange(ctx, request)
		underWay <- err
	}()
	await.That(t, "the call is under way", func() bool { return s.Stats().Exchanges == 1 })
	clients.Close()
	if _, err := c.Exchange(bounded(t), s.request(t, 0)); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-underWay; err != nil {
		t.Fatal(err)
	}
	await.That(t, "no connection is open", func() bool { return s.OpenConnections() == 0 })
}

// An answer that is not wanted to its end must not cost the connection either.
func TestConnectionsAreKeptAfterRefusals(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	h := newHost(t, always(http.StatusBadRequest, strings.Repeat("x", 512<<10)), countConnections(&connections))
	c := newClient(t, h.endpoint(), time.Now)
	for range 5 {
		_, err := exchangeWith(bounded(t), c, 0)
		checkOutcome(t, err, refused)
	}
	if got, want := connections.Load(), int64(1); got != want {
		t.Errorf("got %d connections, want %d", got, want)
	}
}

func countConnections(n *atomic.Int64) func(*httptest.Server) {
	return func(s *httptest.Server) {
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				n.Add(1)
			}
		}
	}
}

func TestUnusableBaseURL(t *testing.T) {
	t.Parallel()
	// Endpoints come from storage; one that is no address must not end in a panic.
	c := newClient(t, workfront.Endpoint{BaseURL: "https://[::1"}, time.Now)
	if _, err := exchangeWith(bounded(t), c, 0); err == nil {
		t.Error("exchange: got no error, want one")
	}
	if err := c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}}); err == nil {
		t.Error("logout: got no error, want one")
	}
}

// Two trusts for one host are two pools of connections, and one host: no more are open than calls are allowed.
func TestConnectionsToAHostAreLimited(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	clients := workfront.NewClients(workfront.ClientsOptions{})
	t.Cleanup(clients.Close)
	endpoints := []workfront.Endpoint{s.endpoint(), {BaseURL: s.URL(), CACert: s.CACert() + "\n"}, {BaseURL: s.URL(), CACert: "\n" + s.CACert()}}
	var allowed, seen, renewed atomic.Int64
	// The server notices a moment later that the client has closed a connection: a request is held until it has.
	s.OnEvent(func(workfronttest.Event) {
		seen.Add(1)
		within := func() bool { return int64(s.OpenConnections()) <= allowed.Load() }
		if !t.Failed() && !await.Met(within) {
			t.Errorf("limit %d: got %d connections at a time", allowed.Load(), s.OpenConnections())
		}
	})
	for _, limit := range []int{16, 8, 3} {
		allowed.Store(int64(limit))
		seen.Store(0)
		clients.SetMaxConnections(s.URL(), limit)
		for range 2 {
			// The client gets another transport, beside the one whose calls are under way.
			s.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Times: 1, Status: http.StatusBadGateway})
			for _, e := range endpoints {
				c, err := clients.Client(e)
				if err != nil {
					t.Fatal(err)
				}
				var all sync.WaitGroup
				for i := range 24 {
					all.Go(func() {
						if err := logOutOnce(bounded(t), c)(); err != nil {
							t.Error(err)
						}
						if i%8 == 0 { // and another one, which the calls after it use
							if _, err := c.Probe(bounded(t)); err != nil {
								t.Error(err)
							}
						}
						err := c.Whoami(bounded(t), "unknown", []string{apiVersion}, userID)
						var unavailable *workfront.UnavailableError
						switch {
						case errors.As(err, &unavailable) && unavailable.Status == http.StatusBadGateway:
							renewed.Add(1)
						case !errors.Is(err, workfront.ErrSessionGone):
							t.Error(err)
						}
					})
				}
				all.Wait()
			}
		}
		if seen.Load() == 0 {
			t.Error("no request was seen")
		}
		if got, want := renewed.Swap(0), int64(2); got != want {
			t.Errorf("got %d answers that renew the connections, want %d", got, want)
		}
		await.That(t, "no more are open than the limit allows", func() bool { return s.OpenConnections() <= limit })
	}
}

// net/http would take 10 MB of headers, and a body of any length.
func TestMemoryForOneAnswerIsBounded(t *testing.T) {
	line := []byte("X-Filler: " + strings.Repeat("x", 1000) + "\r\n")
	letters := bytes.Repeat([]byte("x"), 64<<10)
	tests := []struct {
		name, head string
		filler     []byte
		want       outcome
	}{
		{"headers", "HTTP/1.1 200 OK\r\n", line, transient},
		{"headers of a refusal", "HTTP/1.1 400 Bad Request\r\n", line, transient},
		{"headers of an answer that is to come", "HTTP/1.1 103 Early Hints\r\n", line, transient},
		{"one header", "HTTP/1.1 200 OK\r\nX-Filler: ", letters, transient},
		{"status line", "HTTP/1.1 200 ", letters, transient},
		{"body", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":\"", letters, permanent},
		{"body of a refusal", "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{\"error\":\"", letters, refused},
		{"body of an outage", "HTTP/1.1 503 Unavailable\r\nContent-Type: text/html\r\n\r\n<html>", letters, transient},
		{
			"empty members of gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
			bytes.Repeat([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"), 2000),
			permanent,
		},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", line, transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = io.WriteString(conn, tt.head)
				for sent := 0; sent < 16<<20; sent += len(tt.filler) {
					if _, err := conn.Write(tt.filler); err != nil {
						return
					}
				}
			})
			c := newClient(t, h.endpoint(), time.Now)
			ctx := bounded(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := exchangeWith(ctx, c, 0)
			runtime.ReadMemStats(&after)
			checkOutcome(t, err, tt.want)
			// The handshake, the server's side and the roots of the system are in it.
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(3<<20); got > most {
				t.Errorf("got %d KiB allocated, want %d KiB at most", got>>10, most>>10)
			}
		})
	}
}

// One request on a connection: one that breaks fails one exchange. A server that speaks HTTP/2 must not be asked for it.
func TestHTTP2IsNotAttempted(t *testing.T) {
	t.Parallel()
	var offered []string
	var proto string
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		proto = r.Proto
		answer(w, http.StatusOK, session(""))
	}, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			offered = hello.SupportedProtos
			return nil, nil
		}}
	})
	clients := workfront.NewClients(workfront.ClientsOptions{})
	t.Cleanup(clients.Close)
	c := clientOf(t, clients, h.endpoint())
	for name, call := range map[string]func() error{
		"exchange": exchangeOnce(bounded(t), c),
		"probe":    func() error { _, err := c.Probe(bounded(t)); return err },
	} {
		offered, proto = nil, ""
		if err := call(); err != nil {
			t.Fatal(err)
		}
		if proto != "HTTP/1.1" || slices.Contains(offered, "h2") {
			t.Errorf("%s: got %s, and %q offered, want HTTP/1.1 alone", name, proto, offered)
		}
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	const want = "vault-plugin-secrets-workfront/v1.2.3"
	var agents []string
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		agents = append(agents, r.Method+" "+r.UserAgent())
		answer(w, http.StatusServiceUnavailable, "", "Retry-After", "0")
	})
	clients := workfront.NewClients(workfront.ClientsOptions{UserAgent: want})
	t.Cleanup(clients.Close)
	c := clientOf(t, clients, h.endpoint())
	_, _ = exchangeWith(bounded(t), c, 1)
	_ = logOutOnce(bounded(t), c)()
	_ = c.Whoami(bounded(t), sessionToken, []string{apiVersion}, userID)
	_, _ = c.Probe(bounded(t))
	if got, want := agents, []string{"POST " + want, "POST " + want, "GET " + want, "GET " + want, "HEAD " + want}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Writing config asks for other endpoints and other limits, and disturbs nothing.
func TestClientsAreKeptAndDropped(t *testing.T) {
	t.Parallel()
	caCert := newStandInCA(t)
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		const otherURL = "https://other.my.workfront.com"
		busy, idle := g.client(t, ""), g.client(t, caCert)
		other := clientOf(t, g.Clients, workfront.Endpoint{BaseURL: otherURL})
		g.SetMaxConnections(otherURL, 3)
		begin(1, exchangeOnce(t.Context(), busy))
		checkCount(t, "under way", g.underWay(""), 1)
		time.Sleep(11 * time.Minute)
		if again := g.client(t, ""); again != busy {
			t.Error("a client with a call under way was dropped")
		}
		if again := g.client(t, caCert); again == idle {
			t.Error("a client without a call for 11 minutes is still there")
		}
		// The call of the first one counts for the second, which is new.
		begin(10, exchangeOnce(t.Context(), g.client(t, caCert)))
		checkCount(t, "under way", g.underWay(""), 6)
		// The host is forgotten with its client, and its limit is the default then.
		again := clientOf(t, g.Clients, workfront.Endpoint{BaseURL: otherURL})
		if again == other {
			t.Error("a client without a call for 11 minutes is still there")
		}
		again.Over(g)
		before := g.underWay("")
		begin(10, exchangeOnce(t.Context(), again))
		checkCount(t, "under way at the other host", g.underWay("")-before, 6)
		g.finish(t)
	})
}
