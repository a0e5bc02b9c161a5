package workfront_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
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
	if err := c.Logout(bounded(t), workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}}); err != nil {
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
	if err := c.Logout(bounded(t), workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}}); err != nil {
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
	if err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{"v21.0"}}); err != nil {
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
	const (
		done   = `{"data":{"success":true}}`
		failed = `{"data":{"success":false}}`
		page   = "<html>Log in</html>"
		dead   = `{"error":{"class":"com.attask.common.AuthenticationException","message":"no"}}`
		absent = `{"error":{"message":"You are not currently logged in."}}`
		other  = `{"error":{"class":"com.attask.common.SessionException","message":"no"}}`
	)
	endless := `{"data":{"success":true},"more":"` + strings.Repeat("a", 1<<20) + `"}`
	type said struct {
		method string
		status int
		body   string
	}
	get := func(status int, body string) said { return said{http.MethodGet, status, body} }
	post := func(status int, body string) said { return said{http.MethodPost, status, body} }
	// twice is what stays unclear when it is asked once more.
	twice := func(body string) []said { return []said{get(200, body), post(200, body)} }
	tests := []struct {
		name    string
		answers []said // one for each request that is expected
		want    outcome
	}{
		{"success", []said{get(200, done)}, success},
		{"success with more members", []said{get(200, `{"data":{"success":true,"result":1},"x":2}`)}, success},
		{"success as text/html with a byte order mark", []said{get(200, "\xef\xbb\xbf"+done)}, success},
		{"status 201", []said{get(201, done)}, success},

		{"gone by 401 with a class", []said{get(401, other)}, success},
		{"gone by 401 with an empty class", []said{get(401, `{"error":{"class":""}}`)}, success},
		{"gone by 401 with a class, and a byte order mark", []said{get(401, "\xef\xbb\xbf"+other)}, success},
		{"gone by 401 with a message", []said{get(401, absent)}, success},
		{"401 of nothing", []said{get(401, "")}, permanent},
		{"401 of a page", []said{get(401, page)}, permanent},
		{"401 of a page that quotes Workfront", []said{get(401, "<html>"+dead+"</html>")}, permanent},
		{"401 of JSON without an error", []said{get(401, `{}`)}, permanent},
		{"401 of a gateway", []said{get(401, `{"code":401,"message":"Unauthorized"}`)}, permanent},
		{"401 of a gateway, with an error", []said{get(401, `{"error":{"code":"Unauthorized","message":"no"}}`)}, permanent},
		{"401 with a class of another type", []said{get(401, `{"error":{"class":401}}`)}, permanent},
		{"401 with a class beside the error", []said{get(401, `{"class":"x","error":"no"}`)}, permanent},
		{"401 with a class that is withdrawn", []said{get(401, `{"error":{"class":"x"},"error":{}}`)}, permanent},
		{"401 with a class in other letters", []said{get(401, `{"error":{"Class":"x"}}`)}, permanent},
		{"401 with a class that is cut off", []said{get(401, other[:30])}, permanent},
		{"403 with a class", []said{get(403, other)}, refused},
		{"gone by class, 200", []said{get(200, dead)}, success},
		{"gone by class, 400", []said{get(400, dead)}, success},
		{"gone by class, 403", []said{get(403, dead)}, success},
		{"gone by class, 500", []said{get(500, dead)}, success},
		{"gone by message, 200", []said{get(200, absent)}, success},
		{"gone by message, 403", []said{get(403, absent)}, success},
		{"gone by message, 404", []said{get(404, absent)}, success},
		{"gone by message of the other form", []said{get(500, `{"message":"You are not currently logged in"}`)}, success},
		{"gone by message, with the token", []said{get(403, `{"message":"You are not currently logged in. `+sessionToken+`"}`)}, success},
		{"gone in an unknown member", []said{get(403, `{"detail":"You are not currently logged in."}`)}, refused},
		{"another class", []said{get(403, `{"error":{"class":"com.attask.common.AccessException"}}`)}, refused},
		{"class in other letters", []said{get(403, `{"error":{"Class":"com.attask.common.AuthenticationException"}}`)}, refused},

		{"unsuccessful, then gone", []said{get(200, failed), post(401, other)}, success},
		{"unsuccessful, then gone by class", []said{get(200, failed), post(500, dead)}, success},
		{"unsuccessful, then successful", []said{get(200, failed), post(200, done)}, success},
		{"unsuccessful, then not gone", []said{get(200, failed), post(401, page)}, permanent},
		{"error member, then gone", []said{get(200, `{"error":{"message":"no"}}`), post(401, other)}, success},
		{"HTML, then gone", []said{get(200, page), post(401, other)}, success},
		{
			"error member besides one in other letters",
			[]said{get(200, `{"data":{"success":true},"error":"no","Error":""}`), post(401, other)},
			success,
		},
		{"unclear, then refused", []said{get(200, "{}"), post(403, "")}, refused},
		{"unclear, then broken", []said{get(200, "{}"), post(500, "")}, permanent},
		{"unclear, then unavailable, then gone", []said{get(200, "{}"), post(503, ""), post(401, other)}, success},

		{"unsuccessful by both", twice(failed), unclear},
		{"error member besides success", twice(`{"data":{"success":true},"error":{"message":"no"}}`), unclear},
		{"HTML", twice(page), unclear},
		{"no data", twice(`{"success":true}`), unclear},
		{"success as text", twice(`{"data":{"success":"true"}}`), unclear},
		{"success as a number", twice(`{"data":{"success":1}}`), unclear},
		{"success in other letters", twice(`{"DATA":{"SUCCESS":true}}`), unclear},
		{"success that is withdrawn", twice(`{"data":{"success":true,"success":false}}`), unclear},
		{"data that is withdrawn", twice(`{"data":{"success":true},"data":{}}`), unclear},
		{"truncated", twice(done[:20]), unclear},
		{"no content", []said{get(204, ""), post(204, "")}, unclear},

		{"unclear, POST not allowed", []said{get(200, page), post(405, "")}, unclear},
		{"bad request, then POST", []said{get(400, ""), post(200, done)}, success},
		{"no such page, then POST", []said{get(404, page), post(200, done)}, success},
		{"method not allowed, then POST", []said{get(405, ""), post(200, done)}, success},
		{"no longer available, then POST", []said{get(410, ""), post(200, done)}, success},
		{"method not allowed, then gone", []said{get(405, ""), post(500, dead)}, success},
		{"method not allowed, then unclear, then gone", []said{get(405, ""), post(204, ""), post(401, other)}, success},
		{"method not allowed, then unclear", []said{get(405, ""), post(204, ""), post(204, "")}, unclear},
		{"method not allowed, then broken", []said{get(405, ""), post(500, "")}, permanent},
		{"both not allowed", []said{get(405, ""), post(405, "")}, refused},
		{"no such page", []said{get(404, ""), post(404, "")}, permanent},
		{"unsupported version", []said{get(410, ""), post(405, "")}, refused},

		{"forbidden", []said{get(403, `{"error":{"message":"no"}}`)}, refused},
		{"page of a firewall", []said{get(403, page)}, permanent},
		{"server error", []said{get(500, done)}, permanent},
		{"too long", []said{get(200, endless)}, permanent},
		{"too many requests, then success", []said{get(429, ""), get(200, done)}, success},
		{"bad gateway, then success", []said{get(502, ""), get(200, done)}, success},
		{"unavailable, then success", []said{get(503, ""), get(200, done)}, success},
		{"gateway timeout, then success", []said{get(504, ""), get(200, done)}, success},
		{"too many requests", []said{get(429, ""), get(429, "")}, transient},
		{"bad gateway", []said{get(502, ""), get(502, "")}, transient},
		{"unavailable", []said{get(503, ""), get(503, "")}, transient},
		{"gateway timeout", []said{get(504, ""), get(504, "")}, transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if n > len(tt.answers) {
					answer(w, http.StatusTeapot, "")
					return
				}
				want := tt.answers[n-1]
				if r.Method != want.method {
					t.Errorf("request %d: got %s, want %s", n, r.Method, want.method)
				}
				answer(w, want.status, want.body)
			})
			err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, MaxRetries: 1})
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

// What worked is remembered, and given up when it no longer works.
func TestLogoutRemembersTheMethod(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var methods []string
	only := http.MethodPost
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, r.Method)
		switch {
		case r.Header.Get("sessionID") == "gone":
			answer(w, http.StatusUnauthorized, `{"error":{"class":"x"}}`)
		case r.Method == only:
			answer(w, http.StatusOK, `{"data":{"success":true}}`)
		default:
			answer(w, http.StatusMethodNotAllowed, "")
		}
	})
	c := newClient(t, h.endpoint(), time.Now)
	steps := []struct{ name, only, token, want string }{
		{"tries both", "POST", sessionToken, "GET POST"},
		{"goes on with what worked", "POST", sessionToken, "POST"},
		{"learns nothing from a session that is gone", "POST", "gone", "POST"},
		{"turns back", "GET", sessionToken, "POST GET"},
		{"goes on with that", "GET", sessionToken, "GET"},
		{"learns nothing from a session that is gone, either", "GET", "gone", "GET"},
	}
	for _, s := range steps {
		mu.Lock()
		methods, only = nil, s.only
		mu.Unlock()
		if err := c.Logout(bounded(t), workfront.LogoutRequest{Token: s.token, APIVersions: []string{apiVersion}}); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		mu.Lock()
		if got := strings.Join(methods, " "); got != s.want {
			t.Errorf("%s: got %s, want %s", s.name, got, s.want)
		}
		mu.Unlock()
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
			err := newClient(t, s.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}, MaxRetries: 1})
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
	checkOutcome(t, c.Logout(bounded(t), workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}, MaxRetries: 5}), unclear)
	// By GET, and once more by POST.
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
	checkOutcome(t, c.Logout(bounded(t), workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}}), success)
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
	checkOutcome(t, newClient(t, s.endpoint(), time.Now).Logout(ctx, workfront.LogoutRequest{Token: token, APIVersions: []string{apiVersion}, MaxRetries: 1}), success)
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
	err := c.Logout(short, workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, MaxRetries: 2})
	checkOutcome(t, err, transient)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to wrap %v", err, context.DeadlineExceeded)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	s.OnEvent(func(workfronttest.Event) { cancel() })
	checkOutcome(t, c.Logout(ctx, workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, MaxRetries: 2}), canceled)
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
