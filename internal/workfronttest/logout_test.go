package workfronttest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLogoutMethods(t *testing.T) {
	const done = `{"data":{"success":true}}`
	tests := []struct {
		name       string
		methods    LogoutMethods
		refusal    int
		takes, not string // methods
		status     int
		class      string
		allow      string
	}{
		{"both take GET", "", 0, "GET", "PUT", 405, "InvalidMethodException", "GET, POST"},
		{"both take POST", LogoutBoth, 0, "POST", "DELETE", 405, "InvalidMethodException", "GET, POST"},
		{"GET only", LogoutGET, 0, "GET", "POST", 405, "InvalidMethodException", "GET"},
		{"POST only", LogoutPOST, 405, "POST", "GET", 405, "InvalidMethodException", "POST"},
		{"POST only, bad request", LogoutPOST, 400, "POST", "GET", 400, "InvalidParameterException", ""},
		{"POST only, not found", LogoutPOST, 404, "POST", "GET", 404, "InvalidResourceException", ""},
		{"GET only, not found", LogoutGET, 404, "GET", "POST", 404, "InvalidResourceException", ""},
		{"POST only, gone", LogoutPOST, 410, "POST", "GET", 410, "InvalidVersionException", ""},
		{"POST only, a page", LogoutPOST, 200, "POST", "GET", 200, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.SetBehaviour(Behaviour{LogoutMethods: test.methods, LogoutRefusal: test.refusal})
			token := f.token()
			for _, session := range []string{token, NewID()} { // whether the session lives or not
				got := f.call(test.not, logoutPath, session)
				if got.status != test.status || got.header.Get("Allow") != test.allow || !strings.Contains(got.body, test.class) {
					t.Errorf("%s: got %d %v %s", test.not, got.status, got.header, got.body)
				}
				if isPage := got.header.Get("Content-Type") == htmlType; isPage != (test.status == 200) {
					t.Errorf("%s: content type %q", test.not, got.header.Get("Content-Type"))
				}
				if !strings.HasPrefix(f.lastRefusal(), "the method is not ") {
					t.Errorf("reason: got %q", f.lastRefusal())
				}
			}
			if !f.SessionAlive(token) {
				t.Error("a refused logout was carried out")
			}
			if got := f.call(test.takes, logoutPath, token); got.status != 200 || got.body != done || f.SessionAlive(token) {
				t.Errorf("%s: got %d %s", test.takes, got.status, got.body)
			}
			if got := f.call(test.takes, logoutPath, token); got.status != 401 {
				t.Errorf("%s again: got %d, want 401", test.takes, got.status)
			}
			f.wantStats(Stats{Exchanges: 1, Started: 1, LoggedOut: 1})
		})
	}
}

func TestSessionInTheBody(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	body := strings.NewReader("sessionID=" + token)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL()+logoutPath, body)
	fatal(t, err)
	request.Header.Set("sessionID", token)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := f.do(request)
	fatal(t, err)
	if got.status != 400 || !f.SessionAlive(token) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestDeadSession(t *testing.T) {
	const (
		class   = `{"error":{"class":"com.attask.common.AuthenticationException","message":"the session is not valid"}}`
		message = `{"error":{"message":"You are not currently logged in."}}`
		neither = `{"error":{"class":"com.attask.common.InvalidSessionException","message":"the session is not valid"}}`
	)
	tests := []struct {
		name   string
		b      Behaviour
		status int
		body   string
	}{
		{"default", Behaviour{}, 401, class},
		{"class and 200", Behaviour{DeadSessionStatus: 200}, 200, class},
		{"class and 400", Behaviour{DeadSession: DeadByClass, DeadSessionStatus: 400}, 400, class},
		{"message and 401", Behaviour{DeadSession: DeadByMessage}, 401, message},
		{"message and 500", Behaviour{DeadSession: DeadByMessage, DeadSessionStatus: 500}, 500, message},
		{"status", Behaviour{DeadSession: DeadByStatus}, 401, neither},
	}
	f := newFixture(t, Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.SetBehaviour(test.b)
			for _, path := range []string{searchPath, logoutPath, sessionPath} {
				got := f.call("GET", path, NewID())
				if got.status != test.status || got.body != test.body || f.lastRefusal() != "no living session" {
					t.Errorf("%s: got %d %s (%s)", path, got.status, got.body, f.lastRefusal())
				}
			}
		})
	}
}

// A session becomes known some time after its exchange, by the server's clock.
func TestKnownAfter(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{KnownAfter: 1500 * time.Millisecond, SameSession: true})
	token := f.token()
	for _, path := range []string{searchPath, sessionPath, logoutPath} {
		if got := f.call("GET", path, token); got.status != 401 || !strings.Contains(got.body, authenticationClass) {
			t.Errorf("%s: got %d %s, want a 401 that says that the session is dead", path, got.status, got.body)
		}
	}
	if !f.SessionAlive(token) {
		t.Error("the session is dead, want it alive")
	}
	f.clock.Advance(1499 * time.Millisecond)
	if again := f.token(); again != token {
		t.Errorf("got %s, want %s again", again, token)
	}
	if got := f.call("GET", searchPath, token); got.status != 401 {
		t.Errorf("got %d a moment too soon, want 401", got.status)
	}
	f.clock.Advance(time.Millisecond)
	if got := f.call("GET", searchPath, token); got.status != 200 {
		t.Errorf("got %d, want 200", got.status)
	}
	if got := f.call("GET", logoutPath, token); got.status != 200 || f.SessionAlive(token) {
		t.Errorf("got %d, alive: %t; want 200 and dead", got.status, f.SessionAlive(token))
	}
}
