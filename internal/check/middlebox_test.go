package check_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// closing returns the address of a server that ends each connection at once.
func closing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return "https://" + listener.Addr().String()
}

// wantMiddleboxes checks that both workarounds are among the causes.
func wantMiddleboxes(t *testing.T, causes []string, want bool) {
	t.Helper()
	text := strings.Join(causes, "\n")
	for _, workaround := range []string{"GODEBUG=tlsmlkem=0", "does not know ECDHE"} {
		if got := strings.Contains(text, workaround); got != want {
			t.Errorf("got\n%s\nwant %s in it: %t", text, workaround, want)
		}
	}
}

// What ends a connection without an answer may be something in between that cannot handle the handshake.
func TestMiddleboxes(t *testing.T) {
	t.Run("handshake", func(t *testing.T) {
		f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
		f.move(settings.Changes{settings.FieldBaseURL: closing(t)})
		wantMiddleboxes(t, f.wantFailure(check.Request{}, "4_connection", "failed"), true)
	})
	t.Run("before the answer", func(t *testing.T) {
		f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
		f.use(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		}))
		wantMiddleboxes(t, f.wantFailure(check.Request{}, "4_connection", "failed"), true)
	})
	t.Run("certificate", func(t *testing.T) {
		f := newFixture(t, nil)
		serverTLS(workfronttest.TLSOptions{DNSNames: []string{"another.example"}})(f)
		wantMiddleboxes(t, f.wantFailure(check.Request{}, "4_connection", "is for another name"), false)
	})
	t.Run("refused", func(t *testing.T) {
		f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
		closed := httptest.NewServer(http.NotFoundHandler())
		closed.Close()
		f.move(settings.Changes{settings.FieldBaseURL: strings.Replace(closed.URL, "http", "https", 1)})
		wantMiddleboxes(t, f.wantFailure(check.Request{}, "4_connection", "Nothing accepts connections"), false)
	})
}

// A session that was just started may not be known everywhere yet: a call is repeated once, after two seconds.
func TestYoungSession(t *testing.T) {
	for _, tt := range []struct {
		name    string
		unknown int           // how many calls are answered so
		age     time.Duration // of the session at the call
		waits   int
		ok      bool
	}{
		{"known at once", 0, 0, 0, true},
		{"known late", 1, 0, 1, true},
		{"never known", 9, 0, 1, false},
		{"old", 1, 10 * time.Second, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			var waits []time.Duration
			f.checker.Wait = func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}
			w := &scripted{exchange: started(""), strict: true, session: `{"data":{}}`}
			calls := 0
			f.use(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/user/") {
					if calls++; calls <= tt.unknown {
						f.clock.Advance(tt.age)
						rw.Header().Set("Content-Type", "application/json")
						rw.WriteHeader(http.StatusUnauthorized)
						_, _ = rw.Write([]byte(`{"error":{"message":"You are not currently logged in."}}`))
						return
					}
				}
				w.ServeHTTP(rw, r)
			}))
			found := f.check(check.Request{})
			if got := found.FailedStep == ""; got != tt.ok {
				t.Errorf("got %+v, want ok: %t", found, tt.ok)
			}
			if len(waits) != tt.waits || len(waits) > 0 && waits[0] != 2*time.Second {
				t.Errorf("waits: got %v, want %d of 2s", waits, tt.waits)
			}
		})
	}
}
