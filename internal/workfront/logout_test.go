package workfront_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestLogout(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	token, other := s.start(t, c), s.start(t, c)
	if err := c.Logout(bounded(t), token, apiVersion, 0); err != nil {
		t.Fatal(err)
	}
	if s.SessionAlive(token) {
		t.Error("the session lives, want it ended")
	}
	if !s.SessionAlive(other) {
		t.Error("another session of the user was ended, want it alive")
	}
	if got, want := s.Stats().Logouts, 1; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
	// The stand-in answers 401 from now on.
	if err := c.Logout(bounded(t), token, apiVersion, 0); err != nil {
		t.Errorf("logging out what is gone: got %v, want no error", err)
	}
	if got, want := s.Stats().Logouts, 2; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

func TestLogoutOnTheWire(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		seen = r
		answer(w, http.StatusOK, `{"data":{"success":true}}`)
	})
	if err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), sessionToken, "v21.0", 0); err != nil {
		t.Fatal(err)
	}
	if got, want := seen.Method+" "+seen.RequestURI, "GET /attask/api/v21.0/logout"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := strings.Join(seen.Header.Values("sessionID"), ","), sessionToken; got != want {
		t.Errorf("header sessionID: got %q, want %q", got, want)
	}
	for name, values := range seen.Header {
		if name != http.CanonicalHeaderKey("sessionID") && strings.Contains(strings.Join(values, "\n"), sessionToken) {
			t.Errorf("header %s holds the token, want it in sessionID alone", name)
		}
	}
}

func TestLogoutAnswers(t *testing.T) {
	t.Parallel()
	const done = `{"data":{"success":true}}`
	type said struct {
		status int
		body   string
	}
	tests := []struct {
		name    string
		answers []said // one for each request that is expected
		want    outcome
	}{
		{"success", []said{{200, done}}, success},
		{"success with more members", []said{{200, `{"data":{"success":true,"result":1},"x":2}`}}, success},
		{"status 201", []said{{201, done}}, success},
		{"session unknown", []said{{401, `{"error":{"class":"com.attask.common.AuthenticationException"}}`}}, success},
		{"401 without JSON", []said{{401, "<html>"}}, success},
		{"unsuccessful, then gone", []said{{200, `{"data":{"success":false}}`}, {401, ""}}, success},
		{"unsuccessful, then successful", []said{{200, `{"data":{"success":false}}`}, {200, done}}, success},
		{"unsuccessful", []said{{200, `{"data":{"success":false}}`}, {200, `{"data":{"success":false}}`}}, unclear},
		{"error member, then gone", []said{{200, `{"error":{"message":"no"}}`}, {401, ""}}, success},
		{"error member besides success", []said{{200, `{"data":{"success":true},"error":{"message":"no"}}`}, {200, `{"data":{"success":true},"error":"no"}`}}, unclear},
		{"HTML, then gone", []said{{200, "<html>Log in</html>"}, {401, ""}}, success},
		{"HTML", []said{{200, "<html>Log in</html>"}, {200, "<html>Log in</html>"}}, unclear},
		{"no data", []said{{200, `{}`}, {200, `{"success":true}`}}, unclear},
		{"success as text", []said{{200, `{"data":{"success":"true"}}`}, {200, `{"data":{"success":1}}`}}, unclear},
		{"success in other letters", []said{{200, `{"DATA":{"SUCCESS":true}}`}, {200, `{"data":{"Success":true}}`}}, unclear},
		{"success that is taken back", []said{{200, `{"data":{"success":true},"data":{}}`}, {200, `{"data":{"success":true,"success":false}}`}}, unclear},
		{"error member besides one in other letters", []said{{200, `{"data":{"success":true},"error":"no","Error":""}`}, {401, ""}}, success},
		{"no content", []said{{204, ""}, {204, ""}}, unclear},
		{"truncated", []said{{200, done[:20]}, {200, done[:20]}}, unclear},
		{"unclear, then refused", []said{{200, "{}"}, {403, ""}}, refused},
		{"unclear, then broken", []said{{200, "{}"}, {500, ""}}, permanent},
		{"unclear, then unavailable, then gone", []said{{200, "{}"}, {503, ""}, {401, ""}}, success},
		{"forbidden", []said{{403, `{"error":{"message":"no"}}`}}, refused},
		{"no such page", []said{{404, ""}}, permanent},
		{"unsupported version", []said{{404, `{"error":{"message":"unsupported API version"}}`}}, refused},
		{"server error", []said{{500, done}}, permanent},
		{"too many requests, then success", []said{{429, ""}, {200, done}}, success},
		{"bad gateway, then success", []said{{502, ""}, {200, done}}, success},
		{"unavailable, then success", []said{{503, ""}, {200, done}}, success},
		{"gateway timeout, then success", []said{{504, ""}, {200, done}}, success},
		{"too many requests", []said{{429, ""}, {429, ""}}, transient},
		{"bad gateway", []said{{502, ""}, {502, ""}}, transient},
		{"unavailable", []said{{503, ""}, {503, ""}}, transient},
		{"gateway timeout", []said{{504, ""}, {504, ""}}, transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, func(w http.ResponseWriter, _ *http.Request, n int) {
				if n > len(tt.answers) {
					answer(w, http.StatusTeapot, "")
					return
				}
				answer(w, tt.answers[n-1].status, tt.answers[n-1].body)
			})
			err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), sessionToken, apiVersion, 1)
			checkOutcome(t, err, tt.want)
			if want := "log out: "; err != nil && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %q, want it to begin with %q", err, want)
			}
			if got, want := h.count(), len(tt.answers); got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

// A logout may happen twice, so it is sent again also where the first may have been carried out.
func TestLogoutIsSentAgainAfterItMayHaveArrived(t *testing.T) {
	t.Parallel()
	once := func(f workfronttest.Fault) workfronttest.Fault {
		f.Endpoint, f.Times = workfronttest.EndpointLogout, 1
		return f
	}
	tests := []struct {
		name  string
		fault workfronttest.Fault
	}{
		{"reset before handling", workfronttest.Fault{Reset: workfronttest.ResetBeforeHandling}},
		{"reset after handling", workfronttest.Fault{Reset: workfronttest.ResetAfterHandling}},
		{"reset in the middle of the answer", workfronttest.Fault{Reset: workfronttest.ResetMidAnswer}},
		{"answer that breaks off", workfronttest.Fault{Header: http.Header{"Content-Length": {"100000"}}}},
		{"bad gateway after handling", workfronttest.Fault{Apply: true, Status: http.StatusBadGateway}},
		{"gateway timeout after handling", workfronttest.Fault{Apply: true, Status: http.StatusGatewayTimeout}},
		{"success that was not carried out", workfronttest.Fault{Body: `{"data":{"success":false}}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStandIn(t, workfronttest.Options{})
			token := s.start(t, newClient(t, s.endpoint(), time.Now))
			s.Inject(once(tt.fault))
			// A client of its own, whose connection is new: net/http itself sends a GET again on a reused one.
			err := newClient(t, s.endpoint(), time.Now).Logout(bounded(t), token, apiVersion, 1)
			checkOutcome(t, err, success)
			if s.SessionAlive(token) {
				t.Error("the session lives, want it ended")
			}
			if got, want := s.Stats().Logouts, 2; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

func TestLogoutThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	token := s.start(t, c)
	b := workfronttest.DefaultBehaviour()
	b.LogoutAnswer = `{"data":{"success":false}}`
	s.SetBehaviour(b)
	checkOutcome(t, c.Logout(bounded(t), token, apiVersion, 5), unclear)
	if got, want := s.Stats().Logouts, 2; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
	// Somebody else ends it between the two requests: the second settles it.
	var received atomic.Int64
	s.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.LogoutReceived && received.Add(1) == 2 {
			s.EndSession(token)
		}
	})
	checkOutcome(t, c.Logout(bounded(t), token, apiVersion, 0), success)
	if got, want := s.Stats().Logouts, 4; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

func TestLogoutConnectionRefused(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	token := s.start(t, newClient(t, s.endpoint(), time.Now))
	s.Suspend()
	ctx, count := dials(bounded(t), func(n int) {
		if n == 2 {
			if err := s.Resume(); err != nil {
				t.Error(err)
			}
		}
	})
	checkOutcome(t, newClient(t, s.endpoint(), time.Now).Logout(ctx, token, apiVersion, 1), success)
	if got, want := count.Load(), int64(2); got != want {
		t.Errorf("got %d connection attempts, want %d", got, want)
	}
	if s.SessionAlive(token) {
		t.Error("the session lives, want it ended")
	}
}

func TestLogoutDeadlineAndCancellation(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	s.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.Logout(short, sessionToken, apiVersion, 2)
	checkOutcome(t, err, transient)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to wrap %v", err, context.DeadlineExceeded)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	s.OnEvent(func(workfronttest.Event) { cancel() })
	checkOutcome(t, c.Logout(ctx, sessionToken, apiVersion, 2), canceled)
}

func TestIsTransient(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"none", nil, false},
		{"other", errors.New("other"), false},
		{"refused", &workfront.RefusedError{Status: 400}, false},
		{"unclear", workfront.ErrUnclearLogout, false},
		{"permanent", &workfront.UnavailableError{Reason: "x"}, false},
		{"transient", &workfront.UnavailableError{Reason: "x", Transient: true}, true},
		{"transient with a cause", &workfront.UnavailableError{Reason: "x", Transient: true, Err: context.DeadlineExceeded}, true},
		{"transient, wrapped", errors.Join(errors.New("other"), &workfront.UnavailableError{Transient: true}), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := workfront.IsTransient(tt.err); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
