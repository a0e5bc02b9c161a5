package check_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

var duration = regexp.MustCompile(`in \d+ ms`)

// wantObservations compares observations, but for the time that requests took.
func wantObservations(t *testing.T, found *check.Result, want ...string) {
	t.Helper()
	got := duration.ReplaceAllString(strings.Join(found.Observations, "\n"), "in N ms")
	if want := strings.Join(want, "\n"); got != want {
		t.Errorf("observations: got\n%s\nwant\n%s", got, want)
	}
}

const (
	probed    = "4_connection: HEAD /: 404 text/html in N ms: empty"
	exchanged = "6_exchange: POST /integrations/oauth2/api/v1/jwt/exchange: 200 application/json in N ms: " +
		"{token_type: string(9, code), access_token: string(32, hexadecimal), " +
		"refresh_token: string(32, hexadecimal), wid: string(32, hexadecimal), expires_in: number}"
	called = "7_call_as_user: GET /attask/api/v22.0/user/{user_id}: 200 application/json in N ms: " +
		"{data: {ID: string(32, hexadecimal), name: string(15, words), objCode: string(4, code), emailAddr: " +
		"string(15, no blanks)}}"
	identified = "7_call_as_user: GET /attask/api/v22.0/session: 200 application/json in N ms: " +
		"{data: {sessionID: string(32, hexadecimal), userID: string(32, hexadecimal), customerID: string(32, " +
		"hexadecimal), " +
		"isAdmin: boolean, tenantID: string(32, hexadecimal), versionInformation: {currentAPI: string(4, no blanks), " +
		"apiVersions: {17.0: string(17, words), 18.0: string(17, words), 19.0: string(17, words), " +
		"20.0: string(17, words), 21.0: string(17, words), 22.0: string(17, words)}}}}"
	refusedJWT = "POST /integrations/oauth2/api/v1/jwt/exchange: 401 application/json in N ms: " +
		"{statusCode: number, error: boolean, type: string(12, code), message: string(7, code)}"
	dead = ": 401 application/json in N ms: {error: {class: string(41, words), message: string(24, words)}}"

	noSecondLogout = "second_logout: not sent, because no session was logged out"
)

func TestObservations(t *testing.T) {
	t.Run("good", func(t *testing.T) {
		f := newFixture(t, nil)
		found := f.check(check.Request{Observe: true})
		wantOK(t, found)
		wantObservations(t, found, probed, exchanged, "6_exchange: expires_in is stated", called, identified,
			"7_call_as_user: compared with the settings: user_id as configured, customer_id as configured, "+
				"api_version offered",
			"8_logout: GET /attask/api/v22.0/logout: 200 application/json in N ms: {data: {success: boolean}}",
			"9_session_dead: GET /attask/api/v22.0/user/{user_id}"+dead,
			"wrong_signature: "+refusedJWT,
			"second_logout: GET /attask/api/v22.0/logout"+dead)
		if stats := f.Stats(); stats.Started != 1 || stats.LoggedOut != 1 {
			t.Errorf("sessions: got %+v, want one, which is logged out", stats)
		}
		f.wantNothingLeft()
	})
	t.Run("refused", func(t *testing.T) {
		f := newFixture(t, settings.Changes{settings.FieldClientSecret: "wrong"})
		found := f.check(check.Request{Observe: true})
		wantObservations(t, found, probed, "6_exchange: "+refusedJWT, "wrong_signature: "+refusedJWT, noSecondLogout)
	})
	t.Run("no connection", func(t *testing.T) {
		f := newFixture(t, nil)
		f.Suspend()
		found := f.check(check.Request{Observe: true})
		wantObservations(t, found, "4_connection: HEAD /: no answer in N ms",
			"wrong_signature: not sent, because there was no connection", noSecondLogout)
	})
	t.Run("not asked for", func(t *testing.T) {
		f := newFixture(t, nil)
		if found := f.check(check.Request{}); found.Observations != nil {
			t.Errorf("got %q, want none", found.Observations)
		}
		if stats := f.Stats(); stats.Exchanges != 1 {
			t.Errorf("got %d exchanges, want one", stats.Exchanges)
		}
	})
}

// A session that a lease holds is logged out neither by the check nor by what it does deliberately.
func TestObserveSparesASessionInUse(t *testing.T) {
	f := newFixture(t, nil)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	resolved, err := f.store.Resolve(t.Context(), f.storage, mount, "")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := f.broker.Issue(t.Context(), f.storage, resolved.Source)
	if err != nil {
		t.Fatal(err)
	}
	found := f.check(check.Request{Observe: true})
	wantOK(t, found)
	if last := found.Observations[len(found.Observations)-1]; last != noSecondLogout {
		t.Errorf("got %q, want no second logout", last)
	}
	if !f.SessionAlive(lease.Token) || len(found.Warnings) == 0 {
		t.Errorf("alive: %t, warnings: %q; want it alive, and a warning", f.SessionAlive(lease.Token), found.Warnings)
	}
}

// What a failed step leaves is logged out, and observations show it.
func TestObservationsOfTheCleanUp(t *testing.T) {
	f := newFixture(t, nil)
	f.behave(func(b *workfronttest.Behaviour) { b.SessionResource = workfronttest.SessionOtherUser })
	found := f.check(check.Request{Observe: true})
	text := strings.Join(found.Observations, "\n")
	for _, want := range []string{
		"compared with the settings: user_id differs, customer_id as configured, api_version offered\n",
		"\nclean-up: GET /attask/api/v22.0/logout: 200 ", "\nsecond_logout: GET /attask/api/v22.0/logout: 401 ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
	f.wantNothingLeft()
}

func TestObservationsOfTheLifetime(t *testing.T) {
	const notStated = "expires_in is not stated, or 0, or not a number"
	for expiresIn, want := range map[string]string{
		`,"expires_in":3600`:     "expires_in is stated",
		`,"expires_in":"3600"`:   "expires_in is stated",
		`,"expires_in":86399999`: "expires_in is more than 32 days, so it counts as not stated",
		`,"expires_in":0`:        notStated,
		``:                       notStated,
	} {
		t.Run(expiresIn, func(t *testing.T) {
			f := newFixture(t, nil)
			f.use(&scripted{exchange: started(expiresIn), strict: true})
			found := f.check(check.Request{Observe: true})
			wantOK(t, found)
			text := strings.Join(found.Observations, "\n")
			if !strings.Contains(text, "\n6_exchange: "+want+"\n") {
				t.Errorf("got\n%s\nwant %q in it", text, want)
			}
			if strings.Contains(text, "3600") || strings.Contains(text, "86399999") {
				t.Errorf("got\n%s\nwant no value", text)
			}
		})
	}
}

// A Workfront that does not verify signatures is told of, and the session is logged out.
func TestWrongSignatureThatIsAccepted(t *testing.T) {
	f := newFixture(t, nil)
	w := &scripted{exchange: started("")}
	f.use(w)
	found := f.check(check.Request{Observe: true})
	wantOK(t, found)
	if text := strings.Join(found.Warnings, "\n"); !strings.Contains(text, "a JWT with a wrong signature") {
		t.Errorf("warnings: got %q, want one of the signature", text)
	}
	want := "\nwrong_signature: Workfront started a session for it\nclean-up: GET "
	if text := strings.Join(found.Observations, "\n"); !strings.Contains(text, want) {
		t.Errorf("got\n%s\nwant the session and its logout in it", text)
	}
	if w.alive {
		t.Error("its session is alive")
	}
}

// Whatever is sent comes back in every place of an answer, and is not told.
func TestObservationsOfAnEcho(t *testing.T) {
	f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
	var sent []string
	f.use(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		var said string
		for _, name := range []string{"client_id", "client_secret", "jwt_token"} {
			if value := r.PostForm.Get(name); value != "" {
				said += value
				sent = append(sent, value)
			}
		}
		w.Header().Set("Content-Type", "text/"+said)
		w.Header().Set("Retry-After", said)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"` + said + `","` + said + `":{"` + said + `":"` + said + `"}}`))
	}))
	found := f.check(check.Request{Observe: true})
	text := strings.Join(found.Observations, "\n")
	if strings.Count(text, "400 unknown") != 3 || len(sent) != 6 {
		t.Errorf("got\n%s\nwant three refusals", text)
	}
	for _, mark := range append(sent, f.App.CustomerID, f.User.ID) {
		if strings.Contains(text, mark) {
			t.Errorf("got\n%s\nwant nothing of what was sent", text)
		}
	}
}
