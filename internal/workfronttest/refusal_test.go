package workfronttest

import (
	"strconv"
	"strings"
	"testing"
)

// Each form of a refusal, opaque and telling. A client gets the code of a reason only if the behaviour tells it.
func TestRefusalForms(t *testing.T) {
	const class = "com.attask.common.AuthenticationException"
	kinds := []string{"client", "secret", "jwt", "request"}
	tests := []struct {
		form RefusalForm
		tell bool
		want map[string]string // by kind; "" stands for the others
	}{
		{"", false, map[string]string{
			"":        `401 {"statusCode":401,"error":true,"type":"Unauthorized","message":"refused"}`,
			"request": `400 {"statusCode":400,"error":true,"type":"BadRequest","message":"jwt_token is missing"}`,
		}},
		{RefusalOAuthService, true, map[string]string{
			"":        `401 {"statusCode":401,"error":true,"type":"invalid_client","message":"refused"}`,
			"jwt":     `401 {"statusCode":401,"error":true,"type":"invalid_grant","message":"refused"}`,
			"request": `400 {"statusCode":400,"error":true,"type":"invalid_request","message":"jwt_token is missing"}`,
		}},
		{RefusalRFC6749, false, map[string]string{
			"":        `401 {"error":"access_denied","error_description":"refused"}`,
			"request": `400 {"error":"access_denied","error_description":"jwt_token is missing"}`,
		}},
		{RefusalRFC6749, true, map[string]string{
			"":        `401 {"error":"invalid_client","error_description":"refused"}`,
			"jwt":     `400 {"error":"invalid_grant","error_description":"refused"}`,
			"request": `400 {"error":"invalid_request","error_description":"jwt_token is missing"}`,
		}},
		{RefusalAPI, false, map[string]string{
			"":        `401 {"error":{"class":"` + class + `","message":"refused"}}`,
			"request": `400 {"error":{"class":"` + class + `","message":"jwt_token is missing"}}`,
		}},
		{RefusalAPI, true, map[string]string{
			"":        `401 {"error":{"class":"` + class + `","message":"invalid_client: refused"}}`,
			"jwt":     `401 {"error":{"class":"` + class + `","message":"invalid_grant: refused"}}`,
			"request": `400 {"error":{"class":"` + class + `","message":"invalid_request: jwt_token is missing"}}`,
		}},
		{RefusalMessage, false, map[string]string{
			"":        `401 {"message":"refused"}`,
			"request": `400 {"message":"jwt_token is missing"}`,
		}},
		{RefusalMessage, true, map[string]string{
			"":        `401 {"message":"invalid_client: refused"}`,
			"jwt":     `401 {"message":"invalid_grant: refused"}`,
			"request": `400 {"message":"invalid_request: jwt_token is missing"}`,
		}},
	}
	f := newFixture(t, Options{})
	for _, test := range tests {
		for _, kind := range kinds {
			t.Run(string(test.form)+" "+kind, func(t *testing.T) {
				f.SetBehaviour(Behaviour{RefusalForm: test.form, TellReasons: test.tell})
				form := f.form(f.jwt(nil))
				switch kind {
				case "client":
					form.Set("client_id", NewID())
				case "secret":
					form.Set("client_secret", NewID())
				case "jwt":
					form.Set("jwt_token", f.jwt(claims{"sub": f.colleague}))
				case "request":
					form.Del("jwt_token")
				}
				got, err := f.do(f.exchangeRequest(t.Context(), form))
				fatal(t, err)
				want, ok := test.want[kind]
				if !ok {
					want = test.want[""]
				}
				status, body, _ := strings.Cut(want, " ")
				if status != strconv.Itoa(got.status) || got.body != body {
					t.Errorf("got %d %s\nwant %s", got.status, got.body, want)
				}
			})
		}
	}
}

func TestErrorsAsHTML(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{ErrorsAsHTML: true, MaxCalls: 1})
	token := f.token()
	got := map[string]reply{"dead session": f.call("GET", searchPath, NewID())}
	refused, err := f.do(f.exchangeRequest(t.Context(), f.form("nonsense")))
	fatal(t, err)
	got["exchange"] = refused
	release := f.occupy(1)
	got["over the limit"] = f.call("GET", searchPath, token)
	release()
	for name, got := range got {
		if got.header.Get("Content-Type") != "text/html;charset=UTF-8" || !strings.HasPrefix(got.body, `{"`) || got.status < 400 {
			t.Errorf("%s: got %d %v %s", name, got.status, got.header, got.body)
		}
	}
	if got := f.call("GET", searchPath, token); got.header.Get("Content-Type") != jsonType {
		t.Errorf("what is no error: got %v", got.header)
	}
}

func TestByteOrderMark(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	f.SetBehaviour(Behaviour{ByteOrderMark: true, ErrorsAsHTML: true})
	exchange, err := f.tryExchange()
	fatal(t, err)
	for name, got := range map[string]reply{
		"exchange": exchange,
		"user":     f.call("GET", searchPath, token),
		"dead":     f.call("GET", searchPath, NewID()),
		"logout":   f.call("GET", logoutPath, token),
	} {
		if !strings.HasPrefix(got.body, "\xef\xbb\xbf{") || strings.Count(got.body, "\ufeff") != 1 {
			t.Errorf("%s: got %q", name, got.body)
		}
	}
	if got := f.call("GET", "/", ""); strings.Contains(got.body, "\ufeff") {
		t.Errorf("a page: got %q", got.body)
	}
	f.wantStats(Stats{Exchanges: 2, Started: 2, LoggedOut: 1, Alive: 1})
}

func TestRetiredVersions(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	b := DefaultBehaviour()
	b.RetiredVersions = []string{"v22.0"}
	f.SetBehaviour(b)
	b.RetiredVersions[0] = "v17.0" // is the caller's own
	want := `{"error":{"class":"com.attask.common.InvalidVersionException","message":"no longer available in this API version"}}`
	for _, path := range []string{logoutPath, searchPath, sessionPath} {
		if got := f.call("GET", path, token); got.status != 410 || got.body != want {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
	if got := f.call("GET", "/attask/api/v17.0/user/search", token); got.status != 200 {
		t.Errorf("another version: got %d %s", got.status, got.body)
	}
}

func TestUnknownPathStatus(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{UnknownPathStatus: 200})
	for _, path := range []string{"/", "/attask/api/v22.0/proj/search", "/attask/api/v22.0"} {
		got := f.call("GET", path, "")
		if got.status != 200 || got.header.Get("Content-Type") != htmlType || f.lastRefusal() != "unknown path" {
			t.Errorf("%s: got %d %v %s", path, got.status, got.header, got.body)
		}
	}
}
