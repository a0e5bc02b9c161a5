package workfront_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// gateway is a host in a synctest bubble: it keeps each request until it is told to answer it, or its client gives up.
type gateway struct {
	*workfront.Clients
	mu      sync.Mutex
	held    []*heldRequest
	arrived []string // what came, in order
	clients []*workfront.Client
}

type heldRequest struct {
	what   string
	answer chan *http.Response
}

const gatewayURL = "https://acme.my.workfront.com"

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{Clients: workfront.NewClients(workfront.ClientsOptions{})}
	t.Cleanup(g.Close)
	return g
}

// client returns the client for an endpoint of the gateway. Each caCert is another endpoint of the same host.
func (g *gateway) client(t *testing.T, caCert string) *workfront.Client {
	t.Helper()
	c := clientOf(t, g.Clients, workfront.Endpoint{BaseURL: gatewayURL, CACert: caCert})
	if !slices.Contains(g.clients, c) {
		c.Over(g)
		g.clients = append(g.clients, c)
	}
	return c
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	what := "other"
	switch {
	case strings.HasSuffix(r.URL.Path, "/jwt/exchange"):
		what = "exchange"
		if err := r.ParseForm(); err != nil { // reads the body, as the network would
			return nil, err
		}
	case strings.HasSuffix(r.URL.Path, "/logout"):
		what = "logout"
	}
	h := &heldRequest{what, make(chan *http.Response, 1)}
	g.mu.Lock()
	g.held = append(g.held, h)
	g.arrived = append(g.arrived, what)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held = slices.DeleteFunc(g.held, func(other *heldRequest) bool { return other == h })
	}()
	select {
	case resp := <-h.answer:
		return resp, nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// underWay is how many requests of a kind ("" for all) wait for an answer, once everybody has done what can be done now.
func (g *gateway) underWay(what string) int {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, h := range g.held {
		if what == "" || h.what == what {
			n++
		}
	}
	return n
}

// answer answers the oldest request of a kind ("" for any), and waits until all has come of it that can now.
func (g *gateway) answer(t *testing.T, what string, status int, header ...string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	i := slices.IndexFunc(g.held, func(h *heldRequest) bool { return what == "" || h.what == what })
	if i < 0 {
		g.mu.Unlock()
		t.Fatalf("no %s is under way", what)
	}
	h := g.held[i]
	g.mu.Unlock()
	body := map[string]string{"exchange": session(""), "logout": `{"data":{"success":true}}`, "other": `{"data":{}}`}[h.what]
	resp := scripted(status, "application/json", body) //nolint:bodyclose // it is a string
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	h.answer <- resp
	synctest.Wait()
}

// finish answers whatever comes until nothing is under way.
func (g *gateway) finish(t *testing.T) {
	t.Helper()
	for g.underWay("") > 0 {
		g.answer(t, "", http.StatusOK)
	}
}

// begin starts n calls and returns where their errors go.
func begin(n int, call func() error) <-chan error {
	results := make(chan error, n)
	for range n {
		go func() { results <- call() }()
	}
	return results
}

func exchangeOnce(ctx context.Context, c *workfront.Client) func() error {
	return func() error {
		_, err := exchangeWith(ctx, c, 0)
		return err
	}
}

func logOutOnce(ctx context.Context, c *workfront.Client) func() error {
	return func() error {
		return c.Logout(ctx, workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}})
	}
}

func checkCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		max          int // 0: as it is at first
		effective    int
		own          int // slots for one kind alone
		sharedByBoth int
	}{
		{0, 8, 2, 4},
		{2, 2, 1, 0},
		{3, 3, 1, 1},
		{7, 7, 1, 5},
		{16, 16, 4, 8},
		{64, 64, 16, 32},
		{1, 2, 1, 0},
		{1000, 64, 16, 32},
	} {
		t.Run(fmt.Sprintf("max_connections %d", tt.max), func(t *testing.T) {
			t.Parallel()
			calls := map[string]func(context.Context, *workfront.Client) func() error{"exchange": exchangeOnce, "logout": logOutOnce}
			for first, second := range map[string]string{"exchange": "logout", "logout": "exchange"} {
				synctest.Test(t, func(t *testing.T) {
					g := newGateway(t)
					c := g.client(t, "")
					if tt.max != 0 {
						g.SetMaxConnections(gatewayURL, tt.max)
					}
					begin(200, calls[first](t.Context(), c))
					checkCount(t, first+"s alone", g.underWay(first), tt.own+tt.sharedByBoth)
					begin(200, calls[second](t.Context(), c))
					checkCount(t, second+"s behind them", g.underWay(second), tt.own)
					checkCount(t, "all", g.underWay(""), tt.effective)
					g.finish(t)
				})
			}
		})
	}
}

func whoamiOnce(ctx context.Context, c *workfront.Client) func() error {
	return func() error { return c.Whoami(ctx, sessionToken, []string{apiVersion}, userID) }
}

// What is done in the background gets the common slots, and no reader and no revocation waits for it longer than for
// another call.
func TestBackgroundUsesTheCommonSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(3, logOutOnce(t.Context(), c.Background()))
		synctest.Wait()
		begin(100, whoamiOnce(t.Context(), c.Background()))
		checkCount(t, "all in the background", g.underWay(""), 4)
		checkCount(t, "logouts in the background, which came first", g.underWay("logout"), 3)
		begin(3, logOutOnce(t.Context(), c))
		begin(3, exchangeOnce(t.Context(), c))
		checkCount(t, "logouts with two in the foreground", g.underWay("logout"), 5)
		checkCount(t, "exchanges", g.underWay("exchange"), 2)
		// The next common slots go to the foreground, however long the background has waited.
		g.answer(t, "other", http.StatusOK)
		g.answer(t, "logout", http.StatusOK)
		checkCount(t, "logouts, all three of the foreground", g.underWay("logout"), 5)
		checkCount(t, "exchanges, all three", g.underWay("exchange"), 3)
		checkCount(t, "all", g.underWay(""), 8)
		g.answer(t, "exchange", http.StatusOK)
		checkCount(t, "checks in the background: a common slot has become free", g.underWay("other"), 1)
		g.answer(t, "exchange", http.StatusOK)
		checkCount(t, "checks in the background: a slot for exchanges alone has become free", g.underWay("other"), 1)
		checkCount(t, "all but that one", g.underWay(""), 7)
		g.finish(t)
		checkCount(t, "what came", len(g.arrived), 109)
	})
}

// With two slots there are no common ones.
func TestBackgroundWithTwoSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.SetMaxConnections(gatewayURL, 2)
		c := g.client(t, "")
		begin(3, logOutOnce(t.Context(), c.Background()))
		checkCount(t, "logouts in the background", g.underWay("logout"), 1)
		begin(3, whoamiOnce(t.Context(), c.Background()))
		checkCount(t, "checks in the background", g.underWay("other"), 1)
		done := begin(1, logOutOnce(t.Context(), c))
		g.answer(t, "logout", http.StatusOK)
		g.answer(t, "logout", http.StatusOK)
		if err := <-done; err != nil {
			t.Error(err)
		}
		exchanges := begin(1, exchangeOnce(t.Context(), c))
		g.answer(t, "other", http.StatusOK)
		checkCount(t, "exchanges", g.underWay("exchange"), 1)
		checkCount(t, "all", g.underWay(""), 2)
		g.answer(t, "exchange", http.StatusOK)
		if err := <-exchanges; err != nil {
			t.Error(err)
		}
		g.finish(t)
		checkCount(t, "what came", len(g.arrived), 8)
	})
}

// An operator who reads why a pending logout was not sent must not be told of slots that it could not have had.
func TestBackgroundSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		max    int
		before int // logouts
		answer int // status of the first answer, if any
		want   string
	}{
		{8, 6, 0, "background calls use at most 4 of the 8 slots (max_connections), and only when no other " +
			"call waits; 6 calls are under way"},
		{2, 1, 0, "background calls use only those of the 2 slots (max_connections) that are for calls of their " +
			"kind, and only when no other call waits for them; 1 calls are under way"},
		{16, 12, http.StatusTooManyRequests, "background calls use at most 4 of the 8 slots that are left of 16 " +
			"(max_connections) after an answer of HTTP status 429, and only when no other call waits; 11 calls are under way"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("max_connections %d", tt.max), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				g.SetMaxConnections(gatewayURL, tt.max)
				c := g.client(t, "")
				begin(tt.before, logOutOnce(t.Context(), c))
				checkCount(t, "under way", g.underWay(""), tt.before)
				if tt.answer != 0 {
					g.answer(t, "logout", tt.answer)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := logOutOnce(ctx, c.Background())()
				var busy *workfront.BusyError
				if !errors.As(err, &busy) || !strings.HasSuffix(err.Error(), tt.want) {
					t.Errorf("got %v, want a BusyError that says %q", err, tt.want)
				}
				g.finish(t)
			})
		})
	}
}

// slow answers each logout after that time.
type slow time.Duration

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	select {
	case <-time.After(time.Duration(s)):
		return scripted(http.StatusOK, "application/json", `{"data":{"success":true}}`), nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// 600 sessions whose logouts are pending are logged out over half of the slots when nothing else is done.
func TestManyLogoutsInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clients := workfront.NewClients(workfront.ClientsOptions{})
		defer clients.Close()
		c := clientOf(t, clients, workfront.Endpoint{BaseURL: gatewayURL})
		c.Over(slow(250 * time.Millisecond))
		start := time.Now()
		done := begin(600, logOutOnce(t.Context(), c.Background()))
		for range 600 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got, want := time.Since(start), 37500*time.Millisecond; got != want { // 4 at a time
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.SetMaxConnections(gatewayURL, 3) // one for each kind alone, one for both
		c := g.client(t, "")
		begin(2, exchangeOnce(t.Context(), c))
		begin(1, logOutOnce(t.Context(), c))
		checkCount(t, "under way", g.underWay(""), 3)
		var order []string
		for _, what := range []string{"exchange 1", "logout", "exchange 2", "exchange 3", "logout"} {
			call := logOutOnce(t.Context(), c)
			if what != "logout" {
				call = func() error {
					_, err := c.Exchange(t.Context(), workfront.ExchangeRequest{
						Assertion: signed(madeUpAssertion), OnSend: func() { order = append(order, what) },
					})
					return err
				}
			}
			begin(1, call)
			synctest.Wait()
		}
		for g.underWay("exchange") > 0 {
			g.answer(t, "exchange", http.StatusOK)
		}
		g.finish(t)
		if want := []string{"exchange 1", "exchange 2", "exchange 3"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if got, want := g.arrived[3:], []string{"exchange", "logout", "exchange", "exchange", "logout"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// The host counts, not whom the client trusts there, and a new limit needs no new client.
func TestOneLimitForAHost(t *testing.T) {
	t.Parallel()
	caCert := newStandInCA(t)
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		first, second := g.client(t, ""), g.client(t, caCert)
		if first == second {
			t.Fatal("got one client for two endpoints")
		}
		begin(10, exchangeOnce(t.Context(), first))
		begin(10, exchangeOnce(t.Context(), second))
		checkCount(t, "under way", g.underWay(""), 6)
		g.SetMaxConnections(gatewayURL, 16)
		checkCount(t, "after raising the limit", g.underWay(""), 12)
		g.SetMaxConnections(gatewayURL, 4)
		for want := 11; want >= 3; want-- {
			g.answer(t, "", http.StatusOK)
			checkCount(t, "after lowering the limit", g.underWay(""), want)
		}
		g.answer(t, "", http.StatusOK)
		checkCount(t, "at the new limit", g.underWay(""), 3)
		g.finish(t)
		if again := g.client(t, caCert); again != second {
			t.Error("got another client, want the one that was kept")
		}
	})
}

func TestLimitAfter429(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.SetMaxConnections(gatewayURL, 16) // 4 for exchanges alone, 8 for both
		c := g.client(t, "")
		begin(200, exchangeOnce(t.Context(), c))
		checkCount(t, "before", g.underWay(""), 12)
		g.answer(t, "", http.StatusTooManyRequests) // 8 slots: 2 and 4
		for range 5 {
			g.answer(t, "", http.StatusOK)
		}
		checkCount(t, "halved", g.underWay(""), 6)
		for range 10 {
			g.answer(t, "", http.StatusTooManyRequests)
		}
		checkCount(t, "at the least: one for exchanges, and one that waits for a logout", g.underWay(""), 1)
		for i, want := range []int{2, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12, 12, 12, 12} { // 3 slots to 16, and no more
			time.Sleep(time.Second)
			if got := g.underWay(""); got != want {
				t.Errorf("after %d s: got %d, want %d", i+1, got, want)
			}
		}
		g.finish(t)
	})
}

// Nothing at all is sent to the host until the time that it has named.
func TestRetryAfterPausesTheHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(1, exchangeOnce(t.Context(), c))
		g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "30")
		begin(1, logOutOnce(t.Context(), c))
		begin(1, exchangeOnce(t.Context(), c))
		begin(1, logOutOnce(t.Context(), c.Background()))
		time.Sleep(30*time.Second - time.Nanosecond)
		checkCount(t, "before the time is over", g.underWay(""), 0)
		// A caller with less time than that is told at once.
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		time.Sleep(time.Nanosecond)
		checkCount(t, "afterwards", g.underWay(""), 3)
		g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "60")
		_, err := exchangeWith(ctx, c, 0)
		var busy *workfront.BusyError
		if want := "429"; !errors.As(err, &busy) || !strings.Contains(err.Error(), want) || time.Since(begin) > time.Second {
			t.Errorf("got %v after %v, want a BusyError with %q in it at once", err, time.Since(begin), want)
		}
		g.finish(t)
	})
}

// A server that hears nothing cannot say whether it would take more calls: a pause gives no slot back.
func TestPauseGivesNoSlotBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(100, exchangeOnce(t.Context(), c))
		begin(100, logOutOnce(t.Context(), c))
		checkCount(t, "before", g.underWay(""), 8)
		for range 3 {
			g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "30")
		}
		g.finish(t)
		for range 3 {
			time.Sleep(30*time.Second - time.Nanosecond)
			checkCount(t, "in the pause", g.underWay(""), 0)
			time.Sleep(time.Nanosecond)
			checkCount(t, "after the pause", g.underWay(""), 2)
			g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "30")
			g.answer(t, "logout", http.StatusTooManyRequests, "Retry-After", "30")
		}
		time.Sleep(30 * time.Second)
		for want := 2; want <= 8; want++ {
			checkCount(t, "then one more each second", g.underWay(""), want)
			time.Sleep(time.Second)
		}
		g.finish(t)
	})
}

// A mistake in Retry-After must not silence the host for good.
func TestPauseHasAnEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(1, exchangeOnce(t.Context(), c))
		g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "9223372036854775807")
		begin(1, logOutOnce(t.Context(), c))
		checkCount(t, "under way", g.underWay(""), 0)
		time.Sleep(time.Minute - time.Nanosecond)
		checkCount(t, "under way after almost a minute", g.underWay(""), 0)
		time.Sleep(time.Nanosecond)
		checkCount(t, "under way after a minute", g.underWay(""), 1)
		g.finish(t)
	})
}

func TestWaitInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(8, exchangeOnce(t.Context(), c))
		checkCount(t, "under way", g.underWay(""), 6)
		signed := false
		request := workfront.ExchangeRequest{
			ClientID: clientID, ClientSecret: clientSecret, Timeout: 10 * time.Second,
			Assertion: func() (string, error) { signed = true; return madeUpAssertion, nil },
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := c.Exchange(ctx, request)
		const want = "6 calls are under way, max_connections is 8; share the session, or raise it"
		var busy *workfront.BusyError
		if !errors.As(err, &busy) || *busy != (workfront.BusyError{UnderWay: 6, Limit: 8}) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want a BusyError that says %q", err, want)
		}
		// A quarter of request_timeout before its end, nothing can be sent any more.
		if got, want := time.Since(begin), 7500*time.Millisecond; got != want {
			t.Errorf("waited for %v, want %v", got, want)
		}
		if signed || workfront.IsTransient(err) {
			t.Errorf("signed: %t, transient: %t, want neither: it was not sent, and that is no outage", signed, workfront.IsTransient(err))
		}
		// A reader who leaves is not sent either, and gives way to the next one.
		leaving, leave := context.WithCancel(t.Context())
		left, next := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Exchange(leaving, request); left <- err }()
		synctest.Wait()
		go func() { _, err := exchangeWith(t.Context(), c, 0); next <- err }()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) || signed {
			t.Errorf("got %v, signed: %t, want %v and nothing signed", err, signed, context.Canceled)
		}
		before := len(g.arrived)
		g.finish(t)
		checkCount(t, "requests that came later", len(g.arrived)-before, 3)
		if err := <-next; err != nil {
			t.Error(err)
		}
	})
}

// A logout whose time is used up by the wait says nothing of Workfront, even if its turn comes at the last moment.
func TestLogoutThatWaitsInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.client(t, "")
		begin(6, logOutOnce(t.Context(), c))
		checkCount(t, "under way", g.underWay(""), 6)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		var busy *workfront.BusyError
		if err := logOutOnce(ctx, c)(); !errors.As(err, &busy) || workfront.IsTransient(err) {
			t.Errorf("got %v, want a BusyError", err)
		}
		if got, most := time.Since(begin), 5*time.Second; got > most {
			t.Errorf("took %v, want %v at most", got, most)
		}
		g.finish(t)
	})
}
