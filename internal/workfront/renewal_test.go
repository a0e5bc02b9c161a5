package workfront_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// wire is one side of a connection in a synctest bubble, and what is known of it.
type wire struct {
	net.Conn
	address string // where the name pointed when it was dialed
	opened  time.Time
}

// network is what is below HTTP: the name of the host points to an address, and each address answers as it is told.
type network struct {
	client  *workfront.Client
	pair    *httptest.Server // for its certificate
	handle  func(w *wire) (status int, body string)
	mu      sync.Mutex
	address string
	dialed  int
	delay   func() time.Duration // of a dial; may be nil
}

// newNetwork returns a network whose name points to "old". pair must be from outside of the bubble.
func newNetwork(t *testing.T, pair *httptest.Server, handle func(w *wire) (status int, body string)) *network {
	t.Helper()
	clients := workfront.NewClients(workfront.ClientsOptions{})
	t.Cleanup(clients.Close)
	clients.SetMaxConnections("https://example.com", 64)
	n := &network{pair: pair, handle: handle, address: "old"}
	e := workfront.Endpoint{BaseURL: "https://example.com", CACert: certificatePEM(pair.Certificate())}
	n.client = clientOf(t, clients, e)
	n.client.DialOver(n.dial)
	return n
}

func newPair(t *testing.T) *httptest.Server {
	t.Helper()
	pair := httptest.NewTLSServer(nil)
	t.Cleanup(pair.Close)
	return pair
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.delay != nil {
		select {
		case <-time.After(n.delay()):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	n.dialed++
	address := n.address
	n.mu.Unlock()
	client, server := net.Pipe()
	go n.serve(&wire{tls.Server(server, n.pair.TLS), address, time.Now()})
	config := n.pair.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	return tls.Client(client, config), nil
}

func (n *network) serve(w *wire) {
	defer func() { _ = w.Close() }()
	reader := bufio.NewReader(w)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		status, body := n.handle(w)
		resp := scripted(status, "text/plain", body) //nolint:bodyclose // it is a string
		resp.ProtoMajor, resp.ProtoMinor, resp.ContentLength, resp.Request = 1, 1, int64(len(body)), req
		if resp.Write(w) != nil {
			return
		}
	}
}

func (n *network) move(to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address = to
}

func (n *network) read(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := exchangeWith(ctx, n.client, 0)
	return err
}

// A host name moves, and the old address goes on answering. A read a second keeps the old connection alive.
func TestHostThatMoves(t *testing.T) {
	t.Parallel()
	pair := newPair(t)
	tests := []struct {
		name     string
		status   int // of the old address after the move
		body     string
		failures int           // reads that fail, without retries
		within   time.Duration // the new address is used
	}{
		{"503", http.StatusServiceUnavailable, "", 1, time.Second},
		{"502", http.StatusBadGateway, `{"error":{"message":"no upstream"}}`, 1, time.Second},
		{"504", http.StatusGatewayTimeout, "", 1, time.Second},
		{"421", http.StatusMisdirectedRequest, "", 1, time.Second},
		{"page of another server", http.StatusOK, "<!DOCTYPE html><title>Welcome</title>", 1, time.Second},
		{"page that refuses", http.StatusUnauthorized, " <html>", 1, time.Second},
		{"as before", http.StatusOK, session(""), 0, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var moved, arrived time.Time
				n := newNetwork(t, pair, func(w *wire) (int, string) {
					switch {
					case w.address == "new":
						if arrived.IsZero() {
							arrived = time.Now()
						}
					case !moved.IsZero():
						return tt.status, tt.body
					}
					return http.StatusOK, session("")
				})
				failures := 0
				for second := range 200 {
					if second == 30 {
						moved = time.Now()
						n.move("new")
					}
					if err := n.read(t); err != nil {
						failures++
					}
					time.Sleep(time.Second)
				}
				checkCount(t, "reads that failed", failures, tt.failures)
				if arrived.IsZero() || arrived.Sub(moved) > tt.within {
					t.Errorf("the new address is used %v after the move, want %v at most", arrived.Sub(moved), tt.within)
				}
			})
		})
	}
}

// However long a dial takes, and whichever connection a request gets in the end.
func TestNoRequestOnAnOldConnection(t *testing.T) {
	t.Parallel()
	pair := newPair(t)
	synctest.Test(t, func(t *testing.T) {
		var oldest atomic.Int64
		n := newNetwork(t, pair, func(w *wire) (int, string) {
			if age := int64(time.Since(w.opened)); age > oldest.Load() {
				oldest.Store(age)
			}
			time.Sleep(100 * time.Millisecond)
			return http.StatusOK, session("")
		})
		n.delay = func() time.Duration { return rand.N(9 * time.Second) }
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				for range 300 {
					if err := n.read(t); err != nil {
						t.Error(err)
					}
					time.Sleep(rand.N(time.Second))
				}
			})
		}
		readers.Wait()
		t.Logf("%d connections, the oldest with a request was %v old", n.dialed, time.Duration(oldest.Load()))
		if got, most := time.Duration(oldest.Load()), time.Minute; got > most || got < 10*time.Second {
			t.Errorf("the oldest connection with a request was %v old, want it to be kept for a while, and for %v at most",
				got, most)
		}
	})
}

// What is under way when the connections are renewed gets its answer, and no request goes to a connection from before.
func TestRenewalLosesNothing(t *testing.T) {
	t.Parallel()
	pair := newPair(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var bad []time.Time // when an answer was given that renews the connections
		n := newNetwork(t, pair, func(w *wire) (int, string) {
			begun := time.Now()
			time.Sleep(rand.N(3 * time.Second))
			mu.Lock()
			defer mu.Unlock()
			for _, at := range bad {
				if begun.Sub(at) > time.Second && !w.opened.After(at) {
					t.Errorf("a request came %v after a bad answer on a connection from before", begun.Sub(at))
				}
			}
			if rand.IntN(40) == 0 {
				bad = append(bad, time.Now())
				return http.StatusServiceUnavailable, ""
			}
			return http.StatusOK, session("")
		})
		var refused atomic.Int64
		var readers sync.WaitGroup
		for range 16 {
			readers.Go(func() {
				for range 40 {
					err := n.read(t)
					var unavailable *workfront.UnavailableError
					switch {
					case errors.As(err, &unavailable) && unavailable.Status == http.StatusServiceUnavailable:
						refused.Add(1)
					case err != nil:
						t.Errorf("lost: %v", err)
					}
					time.Sleep(rand.N(2 * time.Second))
				}
			})
		}
		readers.Wait()
		checkCount(t, "reads that were told of the bad answers", int(refused.Load()), len(bad))
		t.Logf("640 exchanges, %d connections, %d bad answers", n.dialed, len(bad))
	})
}

// A host that is down is not asked for a connection by each call.
func TestOneRenewalASecond(t *testing.T) {
	t.Parallel()
	pair := newPair(t)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, pair, func(*wire) (int, string) { return http.StatusServiceUnavailable, "" })
		for range 100 {
			checkOutcome(t, n.read(t), transient)
			time.Sleep(100 * time.Millisecond)
		}
		if got, most := n.dialed, 11; got > most {
			t.Errorf("got %d connections in 10 s, want %d at most", got, most)
		}
	})
}

// A certificate that was revoked or replaced must be seen at the next connection.
func TestTLSSessionsAreNotResumed(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			var connections, resumed atomic.Int64
			h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
				if r.TLS.DidResume {
					resumed.Add(1)
				}
				answer(w, http.StatusOK, session(""), "Connection", "close")
			}, countConnections(&connections), func(s *httptest.Server) {
				s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
			})
			c := newClient(t, h.endpoint(), time.Now)
			for range 3 {
				if _, err := exchangeWith(bounded(t), c, 0); err != nil {
					t.Fatal(err)
				}
			}
			if got := connections.Load(); got != 3 || resumed.Load() != 0 {
				t.Errorf("got %d connections, %d of them resumed, want 3, none of them resumed", got, resumed.Load())
			}
		})
	}
}

// Each probe dials, and the calls that follow use its connection.
func TestProbeConnectsAnew(t *testing.T) {
	t.Parallel()
	pair := newPair(t)
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, pair, func(w *wire) (int, string) { return http.StatusOK, session("") })
		for i := range 3 {
			if err := n.read(t); err != nil {
				t.Fatal(err)
			}
			before := n.dialed
			if _, err := n.client.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkCount(t, fmt.Sprintf("connections of probe %d", i+1), n.dialed-before, 1)
		}
		if err := n.read(t); err != nil {
			t.Fatal(err)
		}
		checkCount(t, "connections", n.dialed, 4)
	})
}
