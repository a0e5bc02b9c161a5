package workfront_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	const token = "f00dfeedf00dfeedf00dfeedf00dfeed"
	tests := []struct{ name, body, want string }{
		{
			"a session", `{"token_type":"sessionID","access_token":"` + token + `","expires_in":0,"refresh_token":null}`,
			"{token_type: string(9, code), access_token: string(32, hexadecimal), expires_in: number, refresh_token: null}",
		},
		{
			"a refusal of the OAuth service", `{"statusCode":401,"error":true,"type":"invalid_client","message":"The client is unknown."}`,
			"{statusCode: number, error: boolean, type: string(14, code), message: string(22, words)}",
		},
		{
			"an error of the API", `{"error":{"class":"com.attask.common.AuthenticationException","message":"no: ` + token + `"}}`,
			"{error: {class: string(41, words), message: string(36, words)}}",
		},
		{"a logout", `{"data":{"success":true}}`, "{data: {success: boolean}}"},
		{
			"the session resource", `{"data":{"sessionID":"` + token + `","isAdmin":false,"versionInformation":{"currentAPI":"22.0","apiVersions":{"21.0":"/x"}}}}`,
			"{data: {sessionID: string(32, hexadecimal), isAdmin: boolean, versionInformation: {currentAPI: string(4, no blanks), apiVersions: {21.0: string(2, no blanks)}}}}",
		},
		{"a number in a string", `{"expires_in":"3600"}`, "{expires_in: string(4, digits)}"},
		{
			"lists", `{"data":[{"ID":"x"},{"ID":"y"}],"errors":[],"codes":[1,2,3]}`,
			"{data: array(2) of {ID: string(1, no blanks)}, errors: array(0), (other): array(3) of number}",
		},
		{"an empty string", `{"message":""}`, "{message: string(empty)}"},
		{
			"names that could be IDs", `{"` + token + `":1,"a b":2,"<b>":3,"Zt7LiCq":4,"` + strings.Repeat("a", 33) + `":5}`,
			"{(other): number, (other): number, (other): number, (other): number, (other): number}",
		},
		{"byte order mark", "\xef\xbb\xbf{}", "{}"},
		{"a page", "<html>" + token, "a page of 38 bytes"},
		{"text", token, "no JSON object, 32 bytes"},
		{"a list alone", `["` + token + `"]`, "no JSON object, 36 bytes"},
		{"nothing", " ", "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := workfront.Describe([]byte(tt.body)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// However much there is, a line remains.
func TestDescribeIsBounded(t *testing.T) {
	t.Parallel()
	var members strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&members, `,"name":{"a_name":[%d]}`, i)
	}
	for name, body := range map[string]string{
		"members": `{"a":1` + members.String() + `}`,
		"depth":   strings.Repeat(`{"name":`, 5000) + "1" + strings.Repeat("}", 5000),
		"lists":   `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
		"text":    `{"a":"` + strings.Repeat("x", 60000) + `"}`,
		"number":  `{"a":` + strings.Repeat("1", 60000) + `}`,
		"name":    `{"` + strings.Repeat("a", 60000) + `":1}`,
	} {
		if got, most := workfront.Describe([]byte(body)), 3000; len(got) > most {
			t.Errorf("%s: got %d bytes, want %d at most", name, len(got), most)
		}
	}
}

// FuzzDescribe looks for a value that a description tells.
func FuzzDescribe(f *testing.F) {
	const mark = "Zt7LiCqXw0NbRy1M"
	for _, body := range []string{
		`{"error":{"class":"{mark}","message":"x {mark}"}}`, `{"{mark}":1}`, `{"a":["{mark}",{"{mark}":"{mark}"}]}`, `<{mark}>`, `{mark}`,
		`{"a":"\u005a{mark}"}`, `{"a_{mark}":null}`, "\xef\xbb\xbf" + `[{"x":1e5}]`, `{"21.0":{}}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := workfront.Describe([]byte(strings.ReplaceAll(body, "{mark}", mark)))
		for i := 0; i+6 <= len(mark); i++ {
			if strings.Contains(got, mark[i:i+6]) {
				t.Errorf("got %q, want nothing of the mark in it", got)
			}
		}
		if len(got) > 3000 {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

// Everything that is sent and everything that is answered is marked: an observation is made to be published.
func TestObserved(t *testing.T) {
	t.Parallel()
	const mark = "5b1c0de000a1b2c3"
	answers := []struct {
		status int
		body   string
		header []string
		want   string // behind the time
	}{
		{503, `{"message":"maintenance ` + mark + `"}`, []string{"Retry-After", "0"}, "503 application/json, Retry-After 0: {message: string(28, words)}"},
		{
			200, `{"access_token":"` + mark + `","token_type":"sessionID","` + mark + `":1}`,
			[]string{"Content-Type", "text/html; charset=utf-8"},
			"200 text/html: {access_token: string(16, hexadecimal), token_type: string(9, code), (other): number}",
		},
		{200, `{"data":{"ID":"` + mark + `"}}`, []string{"Retry-After", mark}, "200 application/json, Retry-After unreadable: {data: {ID: string(16, hexadecimal)}}"},
		{200, `{"data":{"sessionID":"` + mark + `"}}`, []string{"Content-Type", ""}, "200 none: {data: {sessionID: string(16, hexadecimal)}}"},
		{405, `<html>` + mark, []string{"Content-Type", "text/" + mark}, "405 unknown: a page of 22 bytes"},
		{200, `{"data":{"success":true}}`, []string{"Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"}, "200 application/json, Retry-After date: {data: {success: boolean}}"},
	}
	paths := []string{
		"POST /integrations/oauth2/api/v1/jwt/exchange", "POST /integrations/oauth2/api/v1/jwt/exchange",
		"GET /attask/api/v22.0/user/{user_id}", "GET /attask/api/v22.0/session",
		"GET /attask/api/v22.0/logout", "POST /attask/api/v22.0/logout",
	}
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if a := answers[min(n, len(answers))-1]; n <= len(answers) {
			answer(w, a.status, a.body, a.header...)
			return
		}
		reply(w, "")
	})
	var seen []workfront.Observation
	c := newClient(t, h.endpoint(), time.Now).Observed(func(o workfront.Observation) { seen = append(seen, o) })
	ctx := bounded(t)
	_, err := c.Exchange(ctx, workfront.ExchangeRequest{
		ClientID: mark, ClientSecret: mark + "0", MaxRetries: 1, Timeout: patience,
		Assertion: func() (string, error) { return mark + "." + mark + "." + mark, nil },
	})
	if err != nil {
		t.Error(err)
	}
	if err := c.Whoami(ctx, mark, []string{apiVersion}, mark+"/"+mark); err != nil {
		t.Error(err)
	}
	if _, err := c.Identify(ctx, mark, apiVersion); err != nil {
		t.Error(err)
	}
	if err := c.Background().Logout(ctx, workfront.LogoutRequest{Token: mark, APIVersions: []string{apiVersion}}); err != nil {
		t.Error(err)
	}
	if err := c.Whoami(ctx, mark, []string{apiVersion}, mark); err == nil {
		t.Error("got no error, want one")
	}
	if len(seen) != len(answers)+1 {
		t.Fatalf("got %d observations, want %d", len(seen), len(answers)+1)
	}
	for i, o := range seen {
		want := "GET /attask/api/v22.0/user/{user_id}: no answer"
		if i < len(answers) {
			want = paths[i] + ": " + answers[i].want
		}
		got := strings.ReplaceAll(o.String(), fmt.Sprintf(" in %d ms", o.Duration.Milliseconds()), "")
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if o.Duration <= 0 || o.Duration > patience {
			t.Errorf("got %v for %s", o.Duration, o)
		}
		if strings.Contains(fmt.Sprintf("%+v", o), mark[:6]) {
			t.Errorf("got %+v, want nothing of what was sent or answered in it", o)
		}
	}
}

func TestObservedPathWithoutAVersion(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusOK, `{"data":{}}`))
	var seen []string
	c := newClient(t, h.endpoint(), time.Now).Observed(func(o workfront.Observation) { seen = append(seen, o.Path) })
	if err := c.Whoami(bounded(t), sessionToken, []string{""}, userID); err != nil {
		t.Error(err)
	}
	if want := []string{"/attask/api/user/{user_id}"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}
