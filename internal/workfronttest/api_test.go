package workfronttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAPI(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	ida := `{"ID":"` + f.User.ID + `","name":"Ida Integration","objCode":"USER","emailAddr":"ida@example.com"}`
	carl := `{"ID":"` + f.colleague + `","name":"Carl Colleague","objCode":"USER","emailAddr":"carl@example.com"}`
	all := `{"data":[` + ida + "," + carl + `]}`
	if f.colleague < f.User.ID {
		all = `{"data":[` + carl + "," + ida + `]}`
	}
	failed := func(class, message string) string {
		return `{"error":{"class":"com.attask.common.` + class + `","message":"` + message + `"}}`
	}
	dead := failed("AuthenticationException", "the session is not valid")
	tests := []struct {
		name, method, path, token string
		status                    int
		body                      string
	}{
		{"search", "GET", searchPath, token, 200, all},
		{"oldest version", "GET", "/attask/api/v17.0/user/search", token, 200, all},
		{"user", "GET", "/attask/api/v22.0/user/" + f.User.ID, token, 200, `{"data":` + ida + `}`},
		{"another user", "GET", "/attask/api/v22.0/user/" + f.colleague, token, 200, `{"data":` + carl + `}`},
		{"unknown user", "GET", "/attask/api/v22.0/user/nobody", token, 404, failed("ObjectNotFoundException", "there is no such user")},
		{"no session", "GET", searchPath, "", 401, dead},
		{"unknown session", "GET", searchPath, NewID(), 401, dead},
		{"session in the query", "GET", searchPath + "?sessionID=" + token, token, 400, failed("InvalidParameterException", "a session does not belong in a parameter")},
		{"logout in the query", "GET", logoutPath + "?SessionID=" + token, "", 400, failed("InvalidParameterException", "a session does not belong in a parameter")},
		{"retired version", "GET", "/attask/api/v16.0/user/search", token, 410, failed("InvalidVersionException", "no longer available in this API version")},
		{"version too old", "GET", "/attask/api/v3.0/user/search", token, 404, failed("InvalidVersionException", "unsupported API version")},
		{"version too new", "GET", "/attask/api/v23.0/logout", token, 404, failed("InvalidVersionException", "unsupported API version")},
		{"version without point", "GET", "/attask/api/v22/user/search", token, 404, failed("InvalidVersionException", "unsupported API version")},
		{"unknown object", "GET", "/attask/api/v22.0/proj/search", token, 404, failed("InvalidResourceException", "unknown resource")},
		{"no object", "GET", "/attask/api/v22.0", token, 404, failed("InvalidResourceException", "unknown resource")},
		{"POST search", "POST", searchPath, token, 405, failed("InvalidMethodException", "the method is not GET")},
		{"PUT logout", "PUT", logoutPath, token, 405, failed("InvalidMethodException", "the method is not GET or POST")},
		{"logout of an unknown session", "GET", logoutPath, NewID(), 401, dead},
		{"logout of none", "GET", logoutPath, "", 401, dead},
		{"logout", "GET", logoutPath, token, 200, `{"data":{"success":true}}`},
		{"logout again", "GET", logoutPath, token, 401, dead},
		{"search afterwards", "GET", searchPath, token, 401, dead},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := f.call(test.method, test.path, test.token)
			if got.status != test.status || got.body != test.body {
				t.Errorf("got %d %s\nwant %d %s", got.status, got.body, test.status, test.body)
			}
			if got, want := got.header.Get("Content-Type"), jsonType; got != want {
				t.Errorf("content type: got %q, want %q", got, want)
			}
			if (got.header.Get("Allow") != "") != (test.status == 405) {
				t.Errorf("Allow: got %q", got.header.Get("Allow"))
			}
		})
	}
	if got := f.Stats(); got.Logouts != 7 || got.APICalls != 15 {
		t.Errorf("got %d logouts and %d API calls, want 7 and 15", got.Logouts, got.APICalls)
	}
}

func TestOnlyTheSessionHeaderCounts(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	tests := map[string]http.Header{
		"bearer":      {"Authorization": {"Bearer " + token}},
		"cookie":      {"Cookie": {"sessionID=" + token}},
		"two headers": {"Sessionid": {token, token}},
	}
	for name, header := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), "GET", f.URL()+searchPath, nil)
			fatal(t, err)
			request.Header = header
			got, err := f.do(request)
			fatal(t, err)
			if got.status != 401 {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestUnknownPath(t *testing.T) {
	f := newFixture(t, Options{})
	for _, path := range []string{"/", "/integrations/oauth2/api/v1/jwt/exchange/", "/simulator/stats", "//attask/api/v22.0/logout"} {
		got := f.call("GET", path, "")
		if got.status != 404 || got.header.Get("Content-Type") != "text/html;charset=UTF-8" || !strings.HasPrefix(got.body, "<!doctype html>") {
			t.Errorf("%s: got %d %v %s", path, got.status, got.header, got.body)
		}
	}
}

func TestSessionExpiry(t *testing.T) {
	f := newFixture(t, Options{SessionTTL: time.Minute})
	first := f.token()
	f.clock.Advance(time.Minute - time.Second)
	second := f.token()
	if !f.SessionAlive(first) || f.call("GET", searchPath, first).status != 200 {
		t.Error("dead a second too early")
	}
	f.clock.Advance(time.Second)
	f.wantStats(Stats{Exchanges: 2, Started: 2, Expired: 1, Alive: 1}) // nobody has touched the first since
	if f.SessionAlive(first) || f.call("GET", searchPath, first).status != 401 || f.call("GET", logoutPath, first).status != 401 {
		t.Error("alive a second too long")
	}
	if !f.ExpireSession(second) || f.ExpireSession(second) || f.SessionAlive(second) {
		t.Error("ExpireSession did not end it, once")
	}
	f.wantStats(Stats{Exchanges: 2, Started: 2, Expired: 2})
	third := f.token()
	if !f.EndSession(third) || f.EndSession(third) || f.call("GET", searchPath, third).status != 401 {
		t.Error("EndSession did not end it, once")
	}
	fourth := f.token()
	f.clock.Advance(time.Minute)
	if f.SessionAlive(fourth) || f.EndSession(fourth) { // before Stats has seen it
		t.Error("alive beyond its time")
	}
	f.wantStats(Stats{Exchanges: 4, Started: 4, Expired: 3, LoggedOut: 1})
	fifth, sixth := f.token(), f.token()
	if n := f.ExpireSessions(); n != 2 || f.SessionAlive(fifth) || f.SessionAlive(sixth) || f.ExpireSessions() != 0 {
		t.Errorf("ExpireSessions ended %d sessions, want 2, once", n)
	}
	f.wantStats(Stats{Exchanges: 6, Started: 6, Expired: 5, LoggedOut: 1})
}

// Many exchanges and logouts at once: nothing is counted twice, and of two logouts one wins.
func TestConcurrency(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{}) // without a limit
	const clients, rounds = 8, 10
	round := func() error {
		got, err := f.tryExchange()
		if err != nil {
			return err
		}
		var body exchangeAnswer
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			return err
		}
		var (
			pair  sync.WaitGroup
			codes [2]int
			errs  [2]error
		)
		for i := range codes {
			pair.Go(func() {
				request, err := http.NewRequestWithContext(t.Context(), "GET", f.URL()+logoutPath, nil)
				if err != nil {
					errs[i] = err
					return
				}
				request.Header.Set("sessionID", body.AccessToken)
				got, err := f.do(request)
				codes[i], errs[i] = got.status, err
			})
		}
		pair.Wait()
		if codes[0]+codes[1] != 200+401 {
			return fmt.Errorf("two logouts of one session: got %v", codes)
		}
		f.Stats()
		f.Requests()
		return errors.Join(errs[:]...)
	}
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range rounds {
				if err := round(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	f.wantStats(Stats{Exchanges: clients * rounds, Started: clients * rounds, LoggedOut: clients * rounds})
}

// A path without a version is served with the newest one that is not retired.
func TestPathWithoutAVersion(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	const retired = `{"error":{"class":"com.attask.common.InvalidVersionException","message":"no longer available in this API version"}}`
	for _, test := range []struct {
		retired []string
		status  int
		want    string
	}{
		{nil, 200, `"currentAPI":"22.0"`},
		{[]string{"v22.0", "v17.0"}, 200, `"currentAPI":"21.0"`},
		{supportedVersions(), 410, retired},
	} {
		f.SetBehaviour(Behaviour{RetiredVersions: test.retired})
		if got := f.call("GET", "/attask/api/session", token); got.status != test.status || !strings.Contains(got.body, test.want) {
			t.Errorf("without %v: got %d %s, want %d and %s", test.retired, got.status, got.body, test.status, test.want)
		}
	}
	f.SetBehaviour(Behaviour{})
	if got := f.call("GET", "/attask/api/user/"+f.User.ID, token); got.status != 200 {
		t.Errorf("user: got %d %s", got.status, got.body)
	}
	if got := f.call("GET", "/attask/api/x/logout", token); got.status != 404 || !f.SessionAlive(token) {
		t.Errorf("what is no version: got %d, alive: %t", got.status, f.SessionAlive(token))
	}
	if got := f.call("GET", "/attask/api/logout", token); got.status != 200 || f.SessionAlive(token) {
		t.Errorf("logout: got %d, alive: %t", got.status, f.SessionAlive(token))
	}
}
