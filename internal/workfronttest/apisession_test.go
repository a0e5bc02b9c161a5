package workfronttest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

const sessionPath = "/attask/api/v22.0/session"

func TestSessionResource(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	read := func(t *testing.T, path string) map[string]any {
		t.Helper()
		got := f.call("GET", path, token)
		var body struct {
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 200 {
			t.Fatalf("got %d %s: %v", got.status, got.body, err)
		}
		return body.Data
	}
	tests := []struct {
		answer         SessionResource
		user, customer bool // as they are
	}{
		{"", true, true},
		{SessionPresent, true, true},
		{SessionOtherUser, false, true},
		{SessionOtherCustomer, true, false},
	}
	for _, test := range tests {
		t.Run(string(test.answer), func(t *testing.T) {
			f.SetBehaviour(Behaviour{SessionResource: test.answer})
			got := read(t, "/attask/api/v21.0/session")
			if got["sessionID"] != token || (got["userID"] == f.User.ID) != test.user || (got["customerID"] == f.App.CustomerID) != test.customer {
				t.Errorf("got %v", got)
			}
			if got["isAdmin"] != false || len(got["tenantID"].(string)) != 32 || len(got["userID"].(string)) != 32 {
				t.Errorf("got %v", got)
			}
			versions := got["versionInformation"].(map[string]any)
			all := slices.Sorted(maps.Keys(versions["apiVersions"].(map[string]any)))
			if versions["currentAPI"] != "21.0" || !slices.Equal(all, []string{"17.0", "18.0", "19.0", "20.0", "21.0", "22.0"}) {
				t.Errorf("versions: got %v", versions)
			}
		})
	}
	fatal(t, f.RemoveApplication(f.App.ClientID)) // its sessions live on
	if got := read(t, sessionPath); got["customerID"] == "" {
		t.Errorf("without its application: got %v", got)
	}
	if got := f.call("POST", sessionPath, token); got.status != 405 {
		t.Errorf("POST: got %d, want 405", got.status)
	}
}

func TestNoSessionResource(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	f.SetBehaviour(Behaviour{SessionResource: SessionAbsent})
	if got := f.call("GET", sessionPath, token); got.status != 404 || !strings.Contains(got.body, "InvalidResourceException") {
		t.Errorf("absent: got %d %s", got.status, got.body)
	}
	f.SetBehaviour(Behaviour{SessionResource: SessionPage})
	if got := f.call("GET", sessionPath, token); got.status != 200 || got.header.Get("Content-Type") != htmlType {
		t.Errorf("page: got %d %v %s", got.status, got.header, got.body)
	}
}

// Each call with a session prolongs it, up to its absolute end.
func TestSessionIdle(t *testing.T) {
	const idle = 2 * time.Minute
	almost := idle - time.Second
	uses := map[string]func(*fixture, string){
		"user":           func(f *fixture, token string) { f.call("GET", searchPath, token) },
		"session":        func(f *fixture, token string) { f.call("GET", sessionPath, token) },
		"unknown user":   func(f *fixture, token string) { f.call("GET", "/attask/api/v22.0/user/nobody", token) },
		"refused logout": func(f *fixture, token string) { f.call("GET", logoutPath, token) },
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{SessionTTL: 10 * time.Minute})
			f.SetBehaviour(Behaviour{SessionIdle: idle, LogoutAnswer: `{"data":{"success":false}}`})
			token := f.token()
			for range 3 {
				f.clock.Advance(almost)
				use(f, token)
			}
			f.clock.Advance(almost)
			if !f.SessionAlive(token) { // which is no use of it
				t.Fatal("it ended although it was used")
			}
			f.clock.Advance(time.Second)
			if f.SessionAlive(token) || f.call("GET", searchPath, token).status != 401 {
				t.Error("it outlived its idle time")
			}
			f.wantStats(Stats{Exchanges: 1, Started: 1, Expired: 1})
		})
	}
}

func TestSessionIdleEnds(t *testing.T) {
	f := newFixture(t, Options{SessionTTL: 5 * time.Minute})
	f.SetBehaviour(Behaviour{SessionIdle: 2 * time.Minute, SameSession: true})
	got, err := f.tryExchange()
	fatal(t, err)
	if !strings.Contains(got.body, `"expires_in":120}`) {
		t.Errorf("what is left if nobody uses it: got %s, want 120", got.body)
	}
	f.clock.Advance(90 * time.Second)
	got, err = f.tryExchange()
	fatal(t, err)
	if !strings.Contains(got.body, `"expires_in":30}`) {
		t.Errorf("given out again, which is no use: got %s, want 30", got.body)
	}
	token := f.token()
	for range 3 {
		f.call("GET", searchPath, token)
		f.clock.Advance(time.Minute)
	}
	f.call("GET", searchPath, token)
	got, err = f.tryExchange()
	fatal(t, err)
	if !strings.Contains(got.body, `"expires_in":30}`) {
		t.Errorf("shortly before its absolute end: got %s, want 30", got.body)
	}
	f.clock.Advance(30 * time.Second)
	f.wantStats(Stats{Exchanges: 4, Started: 1, Reissued: 3, Expired: 1})

	f.SetBehaviour(Behaviour{})
	forever := f.token()
	f.clock.Advance(4 * time.Minute)
	if !f.SessionAlive(forever) {
		t.Error("without an idle time it ended all the same")
	}
}

func TestLiving(t *testing.T) {
	f := newFixture(t, Options{})
	dead, started := f.token(), f.clock.Now()
	token := f.token()
	f.clock.Advance(time.Minute)
	if got := f.call("GET", searchPath, token); got.status != 200 {
		t.Fatalf("call: got %+v", got)
	}
	f.EndSession(dead)
	want := []Living{{Token: token, UserID: f.User.ID, Started: started, Used: f.clock.Now(), Delivered: true}}
	if got := f.Living(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
