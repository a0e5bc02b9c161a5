package workfronttest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestExpiresIn(t *testing.T) {
	f := newFixture(t, Options{})
	for _, raw := range []string{`0`, `-5`, `"3600"`, `1e99`, `null`, `{broken`} {
		f.SetBehaviour(Behaviour{ExpiresIn: &raw})
		got, err := f.tryExchange()
		fatal(t, err)
		if !strings.HasSuffix(got.body, `,"expires_in":`+raw+`}`) {
			t.Errorf("%s: got %s", raw, got.body)
		}
	}
	omit := OmitExpiresIn
	f.SetBehaviour(Behaviour{ExpiresIn: &omit})
	got, err := f.tryExchange()
	fatal(t, err)
	if !json.Valid([]byte(got.body)) || strings.Contains(got.body, "expires_in") {
		t.Errorf("omitted: got %s", got.body)
	}
}

func TestNoRefreshToken(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{})
	got, err := f.tryExchange()
	fatal(t, err)
	if strings.Contains(got.body, "refresh_token") {
		t.Errorf("got %s", got.body)
	}
}

func TestSameSession(t *testing.T) {
	f := newFixture(t, Options{SessionTTL: 10 * time.Minute})
	rival, err := f.CreateApplication()
	fatal(t, err)
	_, err = f.AddPublicKey(rival.ClientID, f.User.ID, f.key.public)
	fatal(t, err)
	f.SetBehaviour(Behaviour{SameSession: true})
	first := f.token()
	f.clock.Advance(4 * time.Minute)
	got, err := f.tryExchange()
	fatal(t, err)
	if !strings.Contains(got.body, first) || !strings.Contains(got.body, `"expires_in":360}`) {
		t.Errorf("got %s, want the session %s with 360 s left", got.body, first)
	}
	mine := f.App
	f.App = rival
	if f.token() == first {
		t.Error("two applications share a session")
	}
	f.App = mine
	f.wantStats(Stats{Exchanges: 3, Started: 2, Reissued: 1, Alive: 2})
	f.call("GET", logoutPath, first)
	if f.token() == first {
		t.Error("a dead session was issued")
	}
	f.clock.Advance(10 * time.Minute)
	f.token()
	f.wantStats(Stats{Exchanges: 5, Started: 4, Reissued: 1, LoggedOut: 1, Expired: 2, Alive: 1})
	f.SetBehaviour(Behaviour{})
	f.token()
	f.wantStats(Stats{Exchanges: 6, Started: 5, Reissued: 1, LoggedOut: 1, Expired: 2, Alive: 2})
}

// A session whose first answer was lost is known once a second answer holds it; one lost answer later changes nothing.
func TestReissueDelivers(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{SameSession: true})
	lose := Fault{Endpoint: EndpointExchange, Times: 1, Reset: ResetMidAnswer}
	try := func() {
		f.Inject(lose)
		if _, err := f.tryExchange(); err == nil {
			t.Error("got an answer")
		}
	}
	try()
	f.wantStats(Stats{Exchanges: 1, Started: 1, Undelivered: 1})
	token := f.token()
	f.wantStats(Stats{Exchanges: 2, Started: 1, Reissued: 1, Alive: 1})
	try()
	f.wantStats(Stats{Exchanges: 3, Started: 1, Reissued: 2, Alive: 1})
	f.EndSession(token)
	try()
	for dead := range f.sessions {
		f.EndSession(dead) // nobody knows it, but somebody may end it
	}
	f.wantStats(Stats{Exchanges: 4, Started: 2, Reissued: 2, LoggedOut: 2})
}

func TestClockOffset(t *testing.T) {
	f := newFixture(t, Options{SessionTTL: time.Minute})
	token := f.token()
	for offset, want := range map[time.Duration]int{
		2 * time.Minute: 200, 10 * time.Minute: 401, -2 * time.Minute: 200, -10 * time.Minute: 401,
	} {
		f.SetBehaviour(Behaviour{ClockOffset: offset})
		got, err := f.tryExchange() // of a JWT that lives 3 minutes
		fatal(t, err)
		if got.status != want {
			t.Errorf("%s: got %d, want %d", offset, got.status, want)
		}
		if got, want := got.header.Get("Date"), f.clock.Now().Add(offset).UTC().Format(http.TimeFormat); got != want {
			t.Errorf("%s: date: got %q, want %q", offset, got, want)
		}
	}
	if !f.SessionAlive(token) {
		t.Error("the offset ended a session")
	}
}

func TestCertificateDates(t *testing.T) {
	f := newFixture(t, Options{})
	f.clock.Advance(31 * 24 * time.Hour) // the certificate was made for 30 days
	f.token()
	f.SetBehaviour(Behaviour{CertificateDates: true})
	if got, err := f.tryExchange(); err != nil || got.status != refusalStatus {
		t.Errorf("got %d, %v", got.status, err)
	}
	fatal(t, f.RemovePublicKey(f.App.ClientID, f.fingerprint))
	_, err := f.AddPublicKey(f.App.ClientID, f.User.ID, f.key.public)
	fatal(t, err)
	f.token() // a bare public key has no dates
}

func TestLogoutAnswer(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	const no = `{"data":{"success":false}}`
	f.SetBehaviour(Behaviour{LogoutAnswer: no})
	if got := f.call("GET", logoutPath, token); got.status != 200 || got.body != no || !f.SessionAlive(token) {
		t.Errorf("got %d %s, alive %t", got.status, got.body, f.SessionAlive(token))
	}
	if got := f.call("GET", logoutPath, NewID()); got.status != 401 {
		t.Errorf("of a dead session: got %d, want 401", got.status)
	}
	f.wantStats(Stats{Exchanges: 1, Started: 1, Alive: 1})
}

func TestEchoRefusals(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{EchoRefusals: true})
	jwt := f.jwt(claims{"sub": "stranger"})
	form := f.form(jwt)
	refused, err := f.do(f.exchangeRequest(t.Context(), form))
	fatal(t, err)
	form.Set("more", "x")
	malformed, err := f.do(f.exchangeRequest(t.Context(), form))
	fatal(t, err)
	for _, got := range []reply{refused, malformed} {
		if !strings.Contains(got.body, f.App.ClientSecret) || !strings.Contains(got.body, jwt) {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	if got := f.call("GET", logoutPath, "my-session"); got.status != 401 || !strings.Contains(got.body, "my-session") {
		t.Errorf("logout: got %d %s", got.status, got.body)
	}
	for _, r := range f.Requests() {
		if strings.Contains(r.Refusal, f.App.ClientSecret) || strings.Contains(r.Refusal, jwt) || strings.Contains(r.Refusal, "my-session") {
			t.Errorf("the noted reason holds a secret: %s", r.Refusal)
		}
	}
}
