package workfront_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// What was sent may start a session, and has to be known: it gets its time from its sending, whatever becomes of its reader.
func TestSentExchangeIsNotCutOff(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	tests := []struct {
		name   string
		waits  time.Duration // for its turn
		leaves time.Duration // after the sending; 0: the reader waits until its deadline
		takes  time.Duration // until the answer
		want   outcome
		took   time.Duration // since the sending
	}{
		{"at once", 0, 0, 9 * time.Second, success, 9 * time.Second},
		{"after a wait", 7 * time.Second, 0, 9 * time.Second, success, 9 * time.Second},
		{"its reader leaves", 0, time.Second, 9 * time.Second, success, 9 * time.Second},
		{"its reader leaves after a wait", 7 * time.Second, time.Second, 9 * time.Second, success, 9 * time.Second},
		{"no answer", 0, 0, time.Hour, transient, timeout},
		{"no answer after a wait", 7 * time.Second, 0, time.Hour, transient, timeout},
		{"no answer, and its reader leaves", 0, time.Second, time.Hour, transient, timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				c := g.client(t, "")
				begin(6, exchangeOnce(t.Context(), c))
				checkCount(t, "under way", g.underWay(""), 6)
				if tt.waits == 0 {
					g.finish(t)
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				var sent, attempts atomic.Int64
				start := time.Now()
				done := begin(1, func() error {
					_, err := c.Exchange(ctx, workfront.ExchangeRequest{
						ClientID: clientID, ClientSecret: clientSecret, Assertion: signed(madeUpAssertion), MaxRetries: 2, Timeout: timeout,
						OnSend: func() {
							sent.Store(int64(time.Since(start)))
							attempts.Add(1)
						},
					})
					return err
				})
				time.Sleep(tt.waits)
				if tt.waits > 0 {
					g.finishBut(t, 1)
				}
				synctest.Wait()
				if got := time.Duration(sent.Load()); attempts.Load() != 1 || got != tt.waits {
					t.Fatalf("%d attempts, the last one after %v, want one after %v", attempts.Load(), got, tt.waits)
				}
				answered := time.AfterFunc(tt.takes, func() { g.finish(t) })
				defer answered.Stop()
				if tt.leaves > 0 {
					time.Sleep(tt.leaves)
					cancel()
				}
				checkOutcome(t, <-done, tt.want)
				if got := time.Since(start) - time.Duration(sent.Load()); got != tt.took || attempts.Load() != 1 {
					t.Errorf("took %v and %d attempts, want %v and one", got, attempts.Load(), tt.took)
				}
			})
		})
	}
}

// finishBut answers the oldest requests until n are under way.
func (g *gateway) finishBut(t *testing.T, n int) {
	t.Helper()
	for g.underWay("") > n {
		g.answer(t, "", http.StatusOK)
	}
}

// One that waited until less than a quarter of its reader's time is left is not sent. A reader with less time than
// request_timeout, because of a listener's max_request_duration, is served all the same if its turn comes at once.
func TestExchangeThatComesTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.SetMaxConnections(gatewayURL, 2) // one of them for exchanges
		exchange := func() chan error {
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err := g.client(t, "").Exchange(ctx, workfront.ExchangeRequest{
					Assertion: signed(madeUpAssertion), Timeout: 10 * time.Second,
				})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		first := exchange()
		checkCount(t, "requests of a reader with little time", len(g.arrived), 1)
		second := exchange()
		time.Sleep(1600 * time.Millisecond) // 400 ms are left
		g.finish(t)
		synctest.Wait()
		checkOutcome(t, <-first, success)
		var busy *workfront.BusyError
		if err := <-second; !errors.As(err, &busy) {
			t.Errorf("got %v, want a BusyError", err)
		}
		checkCount(t, "requests", len(g.arrived), 1)
	})
}

// A reader who leaves while the connection is made has nothing sent. Time runs out in the same way.
func TestExchangeWithoutAConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	var received atomic.Int64
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		received.Add(1)
		answer(w, http.StatusOK, session(""))
	})
	c := newClient(t, h.endpoint(), time.Now)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	leaving, _ := dials(ctx, func(int) { cancel() })
	_, err := c.Exchange(leaving, workfront.ExchangeRequest{Assertion: signed(madeUpAssertion), Timeout: patience})
	checkOutcome(t, err, canceled)
	// Were the request under way still, it would come before this one on the same connection, or beside it.
	if _, err := exchangeWith(bounded(t), c, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := received.Load(), int64(1); got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

// brokenConn is a kept connection that was dropped on the other side: nothing can be written any more, and nothing says so.
type brokenConn struct {
	net.Conn
	broken *atomic.Bool
	write  func(p []byte) (int, error)
}

func (c *brokenConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return c.write(p)
	}
	return c.Conn.Write(p)
}

// A kept connection that takes nothing has sent nothing: the exchange goes to a new one. Once anything was written, it does not.
func TestExchangeOnAKeptConnectionThatIsGone(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	tests := []struct {
		name  string
		write func(p []byte) (int, error)
		want  outcome
	}{
		{"nothing is written", func([]byte) (int, error) { return 0, reset }, success},
		{"part of a record is written", func(p []byte) (int, error) { return len(p) / 2, reset }, success},
		{"it is swallowed", func(p []byte) (int, error) { return len(p), nil }, transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(http.StatusOK, session("")))
			c := newClient(t, h.endpoint(), time.Now)
			var broken atomic.Bool
			dialed := 0
			c.DialOver(func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				if dialed++; dialed == 1 {
					conn = &brokenConn{conn, &broken, tt.write}
				}
				config := h.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				config.ServerName = "example.com" // in the certificate of httptest
				return tls.Client(conn, config), nil
			})
			if _, err := exchangeWith(bounded(t), c, 0); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if tt.want == success {
				ctx = bounded(t)
			}
			_, err := exchangeWith(ctx, c, 2)
			checkOutcome(t, err, tt.want)
			checkCount(t, "connections", dialed, map[outcome]int{success: 2, transient: 1}[tt.want])
		})
	}
}

// forgetful is a server or load balancer that drops a connection that was idle for a time.
type forgetful struct {
	net.Conn
	after  time.Duration
	silent bool // it swallows what comes then, instead of resetting the connection
	mu     sync.Mutex
	used   time.Time
}

func (c *forgetful) Write(p []byte) (int, error) {
	c.mu.Lock()
	idle := time.Since(c.used)
	c.used = time.Now()
	c.mu.Unlock()
	switch {
	case idle < c.after:
		return c.Conn.Write(p)
	case c.silent:
		return len(p), nil
	}
	_ = c.Close()
	return len(p), nil // the reset is the answer
}

func (c *forgetful) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = time.Now()
	return n, err
}

// Load balancers commonly drop what was idle for a minute, and Node and Apache for 5 s. Nothing may be sent on such a
// connection.
func TestIdleConnectionsAreGivenUp(t *testing.T) {
	t.Parallel()
	pair := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(pair.Close)
	for _, silent := range []bool{false, true} {
		for _, tt := range []struct{ after, idle time.Duration }{
			{5 * time.Second, 3 * time.Second},
			{5 * time.Second, 5 * time.Second},
			{5 * time.Second, 7 * time.Second},
			{time.Minute, 59 * time.Second},
			{time.Minute, 61 * time.Second},
			{time.Minute, time.Hour},
		} {
			how := map[bool]string{false: "reset", true: "silence"}[silent]
			name := fmt.Sprintf("%s after %v, a call every %v", how, tt.after, tt.idle)
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clients := workfront.NewClients(workfront.ClientsOptions{})
					defer clients.Close()
					c := clientOf(t, clients, workfront.Endpoint{BaseURL: "https://example.com", CACert: certificatePEM(pair.Certificate())})
					dialed := 0
					c.DialOver(func(context.Context, string, string) (net.Conn, error) {
						dialed++
						client, server := net.Pipe()
						go serveExchanges(tls.Server(server, pair.TLS))
						config := pair.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
						config.ServerName = "example.com"
						return tls.Client(&forgetful{Conn: client, after: tt.after, used: time.Now(), silent: silent}, config), nil
					})
					for range 12 {
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
						_, err := exchangeWith(ctx, c, 2)
						cancel()
						checkOutcome(t, err, success)
						time.Sleep(tt.idle)
					}
					checkCount(t, "connections", dialed, map[bool]int{true: 1, false: 12}[tt.idle < 4*time.Second])
				})
			})
		}
	}
}

// serveExchanges answers each request on conn with a session.
func serveExchanges(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		resp := scripted(http.StatusOK, "application/json", session("")) //nolint:bodyclose // it is a string
		resp.ProtoMajor, resp.ProtoMinor, resp.ContentLength = 1, 1, int64(len(session("")))
		if resp.Write(conn) != nil {
			return
		}
	}
}

// Workfront allowed 10 calls of a customer at a time, and answers the eleventh with a 429 without a Retry-After.
func TestManyReadersOfALimitedCustomer(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	b := workfronttest.DefaultBehaviour()
	b.MaxCalls, b.ExchangeDelay = 10, 20*time.Millisecond
	s.SetBehaviour(b)
	c := newClient(t, s.endpoint(), time.Now)
	requests := make(chan workfront.ExchangeRequest, 80)
	for range cap(requests) {
		r := s.request(t, 2)
		r.Timeout = time.Minute // on a busy machine
		requests <- r
	}
	close(requests)
	var slowest atomic.Int64
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for r := range requests {
				ctx, cancel := context.WithTimeout(t.Context(), r.Timeout)
				begin := time.Now()
				_, err := c.Exchange(ctx, r)
				cancel()
				if err != nil {
					t.Error(err)
				}
				for took := int64(time.Since(begin)); ; {
					if known := slowest.Load(); known >= took || slowest.CompareAndSwap(known, took) {
						break
					}
				}
			}
		})
	}
	all.Wait()
	stats := s.Stats()
	t.Logf("80 exchanges by 40 readers: %d requests, %d connections, the slowest took %v", stats.Exchanges, stats.Connections, time.Duration(slowest.Load()))
	checkCount(t, "sessions", stats.Started, 80)
	checkCount(t, "requests, none of them refused", stats.Exchanges, 80)
	if got, most := stats.PeakCalls, 8; got > most {
		t.Errorf("got %d calls at a time, want %d at most", got, most)
	}
	// net/http does not keep a connection whose request it has not seen written within 50 ms, as happens on a busy machine.
	if got, most := stats.Connections, 40; got > most {
		t.Errorf("got %d connections for 80 exchanges, want them to be kept", got)
	}
}
