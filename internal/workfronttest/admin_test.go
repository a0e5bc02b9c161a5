package workfronttest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func (f *fixture) administer(method, path, body string) reply {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.URL()+"/simulator/"+path, strings.NewReader(body))
	fatal(f.t, err)
	got, err := f.do(request)
	fatal(f.t, err)
	return got
}

func TestAdmin(t *testing.T) {
	logged := make(chan Request, 100)
	f := newFixture(t, Options{Admin: true, Log: func(r Request) { logged <- r }})
	other := otherKey()
	fatal(t, other.err)
	added := f.administer("POST", "applications/"+f.App.ClientID+"/public-keys?user_id="+f.colleague, other.certificate)
	var fingerprint map[string]string
	fatal(t, json.Unmarshal([]byte(added.body), &fingerprint))
	if added.status != 201 || len(fingerprint["fingerprint_sha256"]) != 64 {
		t.Errorf("add a key: got %d %s", added.status, added.body)
	}
	if r := <-logged; r.Status != 201 || r.Method != "POST" {
		t.Errorf("logged: got %+v", r)
	}
	f.key, f.User.ID = other, f.colleague
	f.token()

	if got := f.administer("POST", "faults", `{"endpoint":"exchange","times":1,"status":503,"header":{"retry-after":"3"},"body":"x","delay":"1ms"}`); got.status != 204 {
		t.Errorf("inject: got %d %s", got.status, got.body)
	}
	got, err := f.tryExchange()
	if err != nil || got.status != 503 || got.header.Get("Retry-After") != "3" || got.body != "x" {
		t.Errorf("with the fault: got %+v, %v", got, err)
	}
	f.administer("POST", "faults", `{"endpoint":"exchange","times":1,"gateway":"json"}`)
	if got, err = f.tryExchange(); err != nil || got.status != 401 || !strings.Contains(got.body, `"code":401`) {
		t.Errorf("with a gateway: got %+v, %v", got, err)
	}
	f.administer("POST", "faults", `{"reset":"before-handling"}`)
	if got := f.administer("DELETE", "faults", ""); got.status != 204 {
		t.Errorf("clear: got %d %s", got.status, got.body)
	}

	if got := f.administer("PUT", "behaviour", `{"expires_in":"7","clock_offset":"-1m","exchange_delay":"1ms"}`); got.status != 204 {
		t.Errorf("behaviour: got %d %s", got.status, got.body)
	}
	got, err = f.tryExchange()
	fatal(t, err)
	if !strings.Contains(got.body, `"expires_in":"7"`) || !strings.Contains(got.body, "refresh_token") {
		t.Errorf("with the behaviour: got %s", got.body)
	}
	f.administer("PUT", "behaviour", `{"omit_expires_in":true,"refresh_token":false}`)
	got, err = f.tryExchange()
	fatal(t, err)
	if strings.Contains(got.body, "expires_in") || strings.Contains(got.body, "refresh_token") {
		t.Errorf("with the next behaviour: got %s", got.body)
	}

	stats := f.administer("GET", "stats", "")
	want := `{"exchanges":5,"started":3,"reissued":0,"refused":0,"logged_out":0,"expired":0,"alive":3,"undelivered":0,` +
		`"logouts":0,"api_calls":0,"calls_under_way":0,"peak_calls":1,"too_many_calls":0,"connections":1}`
	if stats.status != 200 || strings.TrimSpace(stats.body) != want {
		t.Errorf("stats: got %d %s\nwant %s", stats.status, stats.body, want)
	}
}

func TestAdminRefuses(t *testing.T) {
	f := newFixture(t, Options{Admin: true})
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"unknown application", "POST", "applications/nobody/public-keys?user_id=" + f.User.ID, f.key.public, 400, "there is no application"},
		{"no user", "POST", "applications/" + f.App.ClientID + "/public-keys", f.key.public, 400, "there is no user"},
		{"private key", "POST", "applications/" + f.App.ClientID + "/public-keys?user_id=" + f.User.ID, f.key.private, 400, "neither CERTIFICATE"},
		{"fault in vain", "POST", "faults", `{"endpoint":"login"}`, 400, "unknown endpoint"},
		{"misspelt fault", "POST", "faults", `{"endpont":"exchange"}`, 400, "unknown field"},
		{"two faults", "POST", "faults", `{}{}`, 400, "something follows"},
		{"bad duration", "POST", "faults", `{"delay":"soon"}`, 400, "invalid duration"},
		{"misspelt behaviour", "PUT", "behaviour", `{"same_sesion":true}`, 400, "unknown field"},
		{"behaviour that makes no sense", "PUT", "behaviour", `{"retry_after":"1ms"}`, 400, "retry after 1ms has to be whole seconds"},
		{"number in quotes", "PUT", "behaviour", `{"max_calls":"3"}`, 400, "max_calls: json: cannot unmarshal string"},
		{"boolean in quotes", "PUT", "behaviour", `{"same_session":"true"}`, 400, "same_session: json: cannot unmarshal string"},
		{"duration as a number", "PUT", "behaviour", `{"session_idle":5}`, 400, "session_idle: json: cannot unmarshal number"},
		{"null", "PUT", "behaviour", `{"max_calls":null}`, 400, "max_calls: leave it out to reset it"},
		{"unknown word", "PUT", "behaviour", `{"logout_methods":"PUT"}`, 400, `is none of [\"both\" \"GET\" \"POST\"]`},
		{"empty version", "PUT", "behaviour", `{"retired_versions":["v16.0",""]}`, 400, "retired_versions: there is an empty word"},
		{"name of a flag", "PUT", "behaviour", `{"max-calls":3}`, 400, "unknown field"},
		{"behaviour that is no object", "PUT", "behaviour", `[]`, 400, "read body"},
		{"wrong method", "POST", "stats", "", 405, "Method Not Allowed"},
		{"unknown path", "GET", "secrets", "", 404, "not found"},
		{"too large", "POST", "applications/a/public-keys", strings.Repeat("a", maxAdminBody+1), 400, "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := f.administer(test.method, test.path, test.body)
			if got.status != test.status || !strings.Contains(got.body, test.want) {
				t.Errorf("got %d %s, want %d %q", got.status, got.body, test.status, test.want)
			}
		})
	}
	if got := f.token(); got == "" {
		t.Error("something was changed")
	}
}

// Faults do not lock the administrator out, and the administration is no part of the record.
func TestAdminIsOutsideOfFaultsAndRecord(t *testing.T) {
	f := newFixture(t, Options{Admin: true})
	f.Inject(Fault{Endpoint: EndpointAny, Status: 500})
	if got := f.administer("GET", "stats", ""); got.status != 200 {
		t.Errorf("got %d", got.status)
	}
	if got := len(f.Requests()); got != 0 {
		t.Errorf("got %d requests, want none", got)
	}
}
