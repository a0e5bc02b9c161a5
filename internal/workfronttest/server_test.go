package workfronttest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
)

func TestStartRefuses(t *testing.T) {
	busy := newFixture(t, Options{})
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"every interface", Options{Addr: ":0"}, "not a loopback address"},
		{"0.0.0.0", Options{Addr: "0.0.0.0:0"}, "not a loopback address"},
		{"a name", Options{Addr: "example.com:0"}, "not a loopback address"},
		{"no port", Options{Addr: "127.0.0.1"}, "missing port"},
		{"a busy port", Options{Addr: strings.TrimPrefix(busy.URL(), "https://")}, "address already in use"},
		{"negative ttl", Options{SessionTTL: -1}, "negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Start(test.o)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestLocalhost(t *testing.T) {
	s, err := Start(Options{Addr: "localhost:0"})
	fatal(t, err)
	defer s.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL(), "https://"))
	fatal(t, err)
	response, err := s.HTTPClient().Get("https://localhost:" + port + "/")
	fatal(t, err)
	_ = response.Body.Close()
}

func TestConnections(t *testing.T) {
	f := newFixture(t, Options{})
	for range 20 {
		f.token()
	}
	// net/http does not keep a connection whose request it has not seen written within 50 ms, as happens on a busy machine.
	kept := f.Stats().Connections
	if kept < 1 || kept > 10 {
		t.Errorf("20 exchanges in a row: got %d connections, want one that is kept", kept)
	}
	await.That(t, "one connection is open", func() bool { return f.OpenConnections() == 1 })
	f.HTTPClient().CloseIdleConnections()
	await.That(t, "no connection is open", func() bool { return f.OpenConnections() == 0 })
	f.token()
	if got := f.Stats().Connections; got != kept+1 {
		t.Errorf("after a new one: got %d connections, want %d", got, kept+1)
	}
}

// A reset takes the connection out of the HTTP server's hands.
func TestResetConnectionIsNotOpen(t *testing.T) {
	f := newFixture(t, Options{})
	f.Inject(Fault{Endpoint: EndpointExchange, Times: 1, Reset: ResetBeforeHandling})
	if _, err := f.tryExchange(); err == nil {
		t.Error("got an answer, want none")
	}
	await.That(t, "no connection is open", func() bool { return f.OpenConnections() == 0 })
}

func TestHTTP1Only(t *testing.T) {
	f := newFixture(t, Options{})
	transport := f.HTTPClient().Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.ForceAttemptHTTP2 = true
	response, err := (&http.Client{Transport: transport}).Get(f.URL())
	fatal(t, err)
	_ = response.Body.Close()
	if response.Proto != "HTTP/1.1" {
		t.Errorf("got %s", response.Proto)
	}
}

func TestTLSFaults(t *testing.T) {
	f := newFixture(t, Options{})
	is := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }
	tests := []struct {
		name string
		o    TLSOptions
		want func(error) bool
	}{
		{"another name", TLSOptions{DNSNames: []string{"acme.my.workfront.com"}}, is(new(x509.HostnameError))},
		{"expired", TLSOptions{NotAfter: time.Now().Add(-time.Minute)}, func(err error) bool {
			var invalid x509.CertificateInvalidError
			return errors.As(err, &invalid) && invalid.Reason == x509.Expired
		}},
		{"long expired", TLSOptions{NotAfter: time.Now().AddDate(-1, 0, 0)}, is(new(x509.CertificateInvalidError))},
		{"unknown CA", TLSOptions{UnknownCA: true}, is(new(x509.UnknownAuthorityError))},
		{"TLS 1.1", TLSOptions{MaxVersion: tls.VersionTLS11}, func(err error) bool {
			return strings.Contains(err.Error(), "protocol version not supported")
		}},
	}
	url := f.URL()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.token() // leaves a connection that must not be used again
			fatal(t, f.SetTLS(test.o))
			if _, err := f.tryExchange(); err == nil || !test.want(err) {
				t.Errorf("got %v", err)
			}
			fatal(t, f.SetTLS(TLSOptions{}))
			f.token()
		})
	}
	if f.URL() != url {
		t.Errorf("url: got %s, want %s", f.URL(), url)
	}
	f.wantStats(Stats{Exchanges: 2 * len(tests), Started: 2 * len(tests), Alive: 2 * len(tests)})
}

// A client that still speaks TLS 1.1 gets in, so a client that does not has refused by itself.
func TestTLS11Works(t *testing.T) {
	f := newFixture(t, Options{TLS: TLSOptions{MaxVersion: tls.VersionTLS11}})
	config := f.HTTPClient().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.MinVersion = tls.VersionTLS10
	conn, err := tls.Dial("tcp", strings.TrimPrefix(f.URL(), "https://"), config)
	fatal(t, err)
	defer func() { _ = conn.Close() }()
	if got := conn.ConnectionState().Version; got != tls.VersionTLS11 {
		t.Errorf("got %s", tls.VersionName(got))
	}
}

func TestCACert(t *testing.T) {
	f := newFixture(t, Options{})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(f.CACert())) {
		t.Fatal("not a PEM certificate")
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(f.URL(), "https://"), &tls.Config{RootCAs: roots})
	fatal(t, err)
	_ = conn.Close()
}

func TestSuspend(t *testing.T) {
	f := newFixture(t, Options{})
	token, url := f.token(), f.URL()
	f.Suspend()
	f.Suspend()
	if _, err := f.tryExchange(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("suspended: got %v", err)
	}
	fatal(t, f.SetTLS(TLSOptions{}))
	if _, err := f.tryExchange(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("suspended, after SetTLS: got %v", err)
	}
	fatal(t, f.Resume())
	fatal(t, f.Resume())
	if f.URL() != url || f.call("GET", searchPath, token).status != 200 {
		t.Error("not as it was before")
	}
}

// A port that outgoing connections are given could be taken by one of them meanwhile.
func TestSuspendedServerKeepsItsPort(t *testing.T) {
	f := newFixture(t, Options{})
	address, err := url.Parse(f.URL())
	fatal(t, err)
	if port, err := strconv.Atoi(address.Port()); err != nil || port >= 32768 {
		t.Errorf("it listens on port %s, want one below 32768", address.Port())
	}
}

func TestClose(t *testing.T) {
	f := newFixture(t, Options{})
	f.OnEvent(func(Event) { f.Close() })
	if _, err := f.tryExchange(); err == nil {
		t.Error("closed in the callback: got an answer")
	}
	f.Close()
	if err := f.Resume(); err == nil {
		t.Error("a closed server was resumed")
	}
}

func TestSuspendEndsHangs(t *testing.T) {
	over := make(chan struct{})
	f := newFixture(t, Options{Log: func(Request) { close(over) }})
	f.Inject(Fault{Hang: HangBeforeAnswer})
	var client sync.WaitGroup
	client.Go(func() {
		if _, err := f.tryExchange(); err == nil {
			t.Error("got an answer")
		}
	})
	await.That(t, "the session starts", func() bool { return f.Stats().Started == 1 })
	f.Suspend()
	client.Wait()
	<-over
	f.wantStats(Stats{Exchanges: 1, Started: 1, Undelivered: 1})
}

// A client that breaks off its own request is not answered, and not counted as an exchange.
func TestBrokenRequest(t *testing.T) {
	f := newFixture(t, Options{})
	config := f.HTTPClient().Transport.(*http.Transport).TLSClientConfig
	conn, err := tls.Dial("tcp", strings.TrimPrefix(f.URL(), "https://"), config)
	fatal(t, err)
	_, err = conn.Write([]byte("POST " + exchangePath + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"))
	fatal(t, err)
	fatal(t, conn.CloseWrite())
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("got an answer")
	}
	_ = conn.Close()
	f.wantStats(Stats{})
}
