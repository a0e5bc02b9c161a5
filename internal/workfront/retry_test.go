package workfront_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// One exchange starts one session at most, so it is sent again only where it cannot have been acted on.
func TestExchangeRetriesByStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status       int
		want         outcome
		wantRequests int // with one retry allowed
	}{
		{http.StatusTooManyRequests, transient, 2},
		{http.StatusServiceUnavailable, transient, 2},
		{http.StatusInternalServerError, permanent, 1},
		{http.StatusNotImplemented, permanent, 1},
		{http.StatusBadGateway, transient, 1},
		{http.StatusGatewayTimeout, transient, 1},
		{http.StatusNetworkAuthenticationRequired, permanent, 1},
		{http.StatusNotFound, permanent, 1},
		{http.StatusNotModified, permanent, 1},
		{http.StatusMultipleChoices, permanent, 1},
		{http.StatusBadRequest, refused, 1},
		{http.StatusUnauthorized, refused, 1},
		{http.StatusForbidden, refused, 1},
		{http.StatusRequestTimeout, refused, 1},
	}
	for _, tt := range tests {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(tt.status, ""))
			_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 1)
			checkOutcome(t, err, tt.want)
			if got := h.count(); got != tt.wantRequests {
				t.Errorf("got %d requests, want %d", got, tt.wantRequests)
			}
			var u *workfront.UnavailableError
			if errors.As(err, &u) && !strings.Contains(err.Error(), "workfront is not available: ") {
				t.Errorf("got %q, want it to say that Workfront is not available", err)
			}
			if u != nil && u.Status != tt.status {
				t.Errorf("got status %d, want %d", u.Status, tt.status)
			}
		})
	}
}

func TestUnavailableSaysWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusBadGateway, `{"error":{"message":"no upstream"}}`))
	_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 0)
	checkOutcome(t, err, transient)
	if want := "HTTP status 502: no upstream"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
}

func TestExchangeMaxRetries(t *testing.T) {
	t.Parallel()
	for _, maxRetries := range []int{0, 1, 3} {
		h := newHost(t, always(http.StatusServiceUnavailable, "", "Retry-After", "0"))
		_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), maxRetries)
		checkOutcome(t, err, transient)
		if got, want := h.count(), maxRetries+1; got != want {
			t.Errorf("%d retries: got %d requests, want %d", maxRetries, got, want)
		}
	}
}

// A session's life counts from the attempt that started it: counted from the first, it would seem shorter than
// it is, and from the answer, longer.
func TestExchangeSentAtIsThatOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var offset atomic.Int64
	now := func() time.Time { return start.Add(time.Duration(offset.Load())) }
	bodies := make(chan string, 3)
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_ = r.ParseForm()
		bodies <- r.PostForm.Encode()
		offset.Add(int64(time.Hour))
		if n < 3 {
			answer(w, http.StatusServiceUnavailable, "")
			return
		}
		answer(w, http.StatusOK, session(""))
	})
	got, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), now), 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := start.Add(2 * time.Hour); !got.SentAt.Equal(want) {
		t.Errorf("got %v, want %v", got.SentAt, want)
	}
	if got, want := h.count(), 3; got != want {
		t.Fatalf("got %d requests, want %d", got, want)
	}
	first := <-bodies
	for range 2 {
		if got := <-bodies; got != first || got == "" {
			t.Errorf("the body of a retry: got %q, want %q", got, first)
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		// retryAfter is the header's value, and the moment before which no other request may come.
		retryAfter func(now time.Time) (string, time.Time)
	}{
		{"seconds with 429", http.StatusTooManyRequests, func(now time.Time) (string, time.Time) { return "1", now.Add(time.Second) }},
		{"seconds with 503", http.StatusServiceUnavailable, func(now time.Time) (string, time.Time) { return "1", now.Add(time.Second) }},
		{"date", http.StatusServiceUnavailable, func(now time.Time) (string, time.Time) {
			at := now.Add(2 * time.Second).Truncate(time.Second) // HTTP dates have whole seconds
			return at.UTC().Format(http.TimeFormat), at
		}},
		{"date in the past", http.StatusServiceUnavailable, func(now time.Time) (string, time.Time) {
			return now.Add(-time.Hour).UTC().Format(http.TimeFormat), now
		}},
		{"unreadable", http.StatusServiceUnavailable, func(now time.Time) (string, time.Time) {
			return "soon", now.Add(100 * time.Millisecond)
		}},
		{"negative", http.StatusTooManyRequests, func(now time.Time) (string, time.Time) {
			return "-5", now.Add(100 * time.Millisecond)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var earliest, second time.Time
			h := newHost(t, func(w http.ResponseWriter, _ *http.Request, n int) {
				if n > 1 {
					second = time.Now()
					answer(w, http.StatusOK, session(""))
					return
				}
				var value string
				value, earliest = tt.retryAfter(time.Now())
				answer(w, tt.status, "", "Retry-After", value)
			})
			if _, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 1); err != nil {
				t.Fatal(err)
			}
			if second.Before(earliest) {
				t.Errorf("got the second request %v early", earliest.Sub(second))
			}
			if got, want := h.count(), 2; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

// Who waits until the deadline only to be told that it has passed is better served by the answer at hand.
func TestRetryAfterBeyondTheDeadlineGivesUpAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value string }{
		{"seconds", "3600"},
		{"date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)},
		{"date of the far future", "Fri, 31 Dec 9999 23:59:59 GMT"},
		{"seconds that overflow to a negative duration", "9223372037"},
		{"seconds that overflow to a short duration", "18446744074"},
		{"the largest number of seconds", "9223372036854775807"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(http.StatusTooManyRequests, "", "Retry-After", tt.value))
			ctx := bounded(t)
			_, err := exchangeWith(ctx, newClient(t, h.endpoint(), time.Now), 2)
			checkOutcome(t, err, transient)
			if want := "429"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want the answer at hand, %s, in it", err, want)
			}
			if got, want := h.count(), 1; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
			if ctx.Err() != nil {
				t.Error("the deadline passed, want an answer at once")
			}
		})
	}
}

// The waits are 100, 200, 400 and 800 ms, and an attempt is sent only while a quarter of the time is left: with 1 s, that is until
// 750 ms, and the third retry comes at 700 ms.
func TestRetryThatDoesNotFitGivesUpAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		allowed      time.Duration
		wantAttempts int
		wantTook     time.Duration
	}{
		{"the third fits", time.Second, 4, 700 * time.Millisecond},
		{"the third does not", 900 * time.Millisecond, 3, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
				c.Over(script(func(*http.Request) *http.Response {
					attempts++
					return scripted(http.StatusServiceUnavailable, "", "")
				}))
				ctx, cancel := context.WithTimeout(t.Context(), tt.allowed)
				defer cancel()
				begin := time.Now()
				_, err := exchangeWith(ctx, c, 5)
				checkOutcome(t, err, transient)
				if want := "503"; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want the answer at hand, %s, in it", err, want)
				}
				if attempts != tt.wantAttempts || time.Since(begin) != tt.wantTook {
					t.Errorf("got %d attempts in %v, want %d in %v", attempts, time.Since(begin), tt.wantAttempts, tt.wantTook)
				}
			})
		})
	}
}

// A connection that breaks once the request was sent may hide a live session.
func TestExchangeIsNotSentAgainAfterItMayHaveArrived(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault workfronttest.Fault
		want  outcome
	}{
		{"reset before handling", workfronttest.Fault{Reset: workfronttest.ResetBeforeHandling}, transient},
		{"reset after handling", workfronttest.Fault{Reset: workfronttest.ResetAfterHandling}, transient},
		{"reset in the middle of the answer", workfronttest.Fault{Reset: workfronttest.ResetMidAnswer}, transient},
		{"answer that breaks off", workfronttest.Fault{Header: http.Header{"Content-Length": {"100000"}}}, transient},
		{"bad gateway after handling", workfronttest.Fault{Apply: true, Status: http.StatusBadGateway}, transient},
		{"gateway timeout after handling", workfronttest.Fault{Apply: true, Status: http.StatusGatewayTimeout}, transient},
		{"server error after handling", workfronttest.Fault{Apply: true, Status: http.StatusInternalServerError}, permanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{})
			s.Inject(tt.fault)
			_, err := newClient(t, s.endpoint(), time.Now).Exchange(bounded(t), s.request(t, 2))
			checkOutcome(t, err, tt.want)
			if got, want := s.Stats().Exchanges, 1; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

// The same on a connection that was kept alive, where net/http sends some requests again on its own.
func TestExchangeIsNotSentAgainOnAReusedConnection(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	s.start(t, c)
	s.Inject(workfronttest.Fault{Reset: workfronttest.ResetAfterHandling, Times: 1})
	_, err := c.Exchange(bounded(t), s.request(t, 2))
	checkOutcome(t, err, transient)
	if got, want := s.Stats().Exchanges, 2; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

func TestExchangeTimeout(t *testing.T) {
	t.Parallel()
	for _, point := range []workfronttest.HangPoint{
		workfronttest.HangBeforeHandling, workfronttest.HangBeforeAnswer, workfronttest.HangMidAnswer,
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{})
			s.Inject(workfronttest.Fault{Hang: point})
			r := s.request(t, 5)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := newClient(t, s.endpoint(), time.Now).Exchange(ctx, r)
			checkOutcome(t, err, transient)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want it to wrap %v", err, context.DeadlineExceeded)
			}
			if got := s.Stats().Exchanges; got > 1 {
				t.Errorf("got %d requests, want no second one", got)
			}
		})
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, always(http.StatusOK, session("")))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := exchangeWith(ctx, newClient(t, h.endpoint(), time.Now), 2)
		checkOutcome(t, err, canceled)
	})
	t.Run("while the answer is awaited", func(t *testing.T) {
		t.Parallel()
		s := newStandIn(t, workfronttest.Options{})
		s.Inject(workfronttest.Fault{Hang: workfronttest.HangBeforeAnswer})
		ctx, cancel := context.WithCancel(bounded(t))
		defer cancel()
		s.OnEvent(func(workfronttest.Event) { cancel() })
		_, err := newClient(t, s.endpoint(), time.Now).Exchange(ctx, s.request(t, 2))
		checkOutcome(t, err, canceled)
		if workfront.IsTransient(err) {
			t.Error("got a transient failure of Workfront, want none")
		}
	})
	t.Run("while the body is read", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(bounded(t))
		defer cancel()
		h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			answer(w, http.StatusOK, "{")
			_ = http.NewResponseController(w).Flush()
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // a tidy end of the body could overtake the cancellation
		})
		_, err := exchangeWith(ctx, newClient(t, h.endpoint(), time.Now), 2)
		checkOutcome(t, err, canceled)
	})
	t.Run("while a retry is awaited", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(bounded(t))
		defer cancel()
		// The connection is put back once the body was read, which is after the decision to wait.
		h := newHost(t, always(http.StatusTooManyRequests, "{}", "Retry-After", "20"))
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{PutIdleConn: func(error) { cancel() }})
		_, err := exchangeWith(traced, newClient(t, h.endpoint(), time.Now), 2)
		checkOutcome(t, err, canceled)
		if got, want := h.count(), 1; got != want {
			t.Errorf("got %d requests, want %d", got, want)
		}
	})
}

// dials returns a context that counts connection attempts and calls each before them, with their number from 1.
func dials(ctx context.Context, each func(n int)) (context.Context, *atomic.Int64) {
	var n atomic.Int64
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectStart: func(string, string) { each(int(n.Add(1))) },
	}), &n
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		resumeAt   int // the dial before which the server is back
		maxRetries int
		want       outcome
		wantDials  int64
	}{
		{"stays away", 0, 2, transient, 3},
		{"no retries", 2, 0, transient, 1},
		{"comes back", 2, 2, success, 2},
		{"comes back late", 3, 2, success, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{})
			s.Suspend()
			ctx, count := dials(bounded(t), func(n int) {
				if n == tt.resumeAt {
					if err := s.Resume(); err != nil {
						t.Error(err)
					}
				}
			})
			_, err := newClient(t, s.endpoint(), time.Now).Exchange(ctx, s.request(t, tt.maxRetries))
			checkOutcome(t, err, tt.want)
			if got := count.Load(); got != tt.wantDials {
				t.Errorf("got %d connection attempts, want %d", got, tt.wantDials)
			}
		})
	}
}

// rudeListener resets its first connection before the TLS handshake.
type rudeListener struct {
	net.Listener
	once sync.Once
}

func (l *rudeListener) Accept() (net.Conn, error) {
	l.once.Do(func() {
		conn, err := l.Listener.Accept()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // makes Close send RST
		}
		_ = conn.Close()
	})
	return l.Listener.Accept()
}

// Nothing was sent yet, so Workfront cannot have started a session.
func TestExchangeIsSentAgainAfterAResetInTheHandshake(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusOK, session("")), func(s *httptest.Server) {
		s.Listener = &rudeListener{Listener: s.Listener}
	})
	ctx, count := dials(bounded(t), func(int) {})
	_, err := exchangeWith(ctx, newClient(t, h.endpoint(), time.Now), 1)
	checkOutcome(t, err, success)
	if got, want := count.Load(), int64(2); got != want {
		t.Errorf("got %d connection attempts, want %d", got, want)
	}
}
