package workfront_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// The stand-in restates the protocol on its own: what it takes for an exchange is one.
func TestExchange(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{SessionTTL: time.Hour})
	c := newClient(t, s.endpoint(), time.Now)
	before := time.Now()
	got, err := c.Exchange(bounded(t), s.request(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !s.SessionAlive(got.Token) {
		t.Errorf("got a token that starts no session")
	}
	if want := "sessionID"; got.TokenType != want {
		t.Errorf("token type: got %q, want %q", got.TokenType, want)
	}
	if got, most := got.ExpiresIn, time.Hour; got <= 0 || got > most {
		t.Errorf("expires in: got %v, want above 0 and at most %v", got, most)
	}
	if got.SentAt.Before(before) || got.SentAt.After(time.Now()) {
		t.Errorf("sent at: got %v, want between %v and now", got.SentAt, before)
	}
	if got, want := s.Stats().Exchanges, 1; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}

func TestExchangeOnTheWire(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	var body []byte
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		answer(w, http.StatusOK, session(""))
	})
	c := newClient(t, h.endpoint(), time.Now)
	assertion := sign(t, "customer", userID)
	if _, err := c.Exchange(bounded(t), workfront.ExchangeRequest{ClientID: clientID, ClientSecret: clientSecret, Assertion: signed(assertion)}); err != nil {
		t.Fatal(err)
	}
	if got, want := seen.Method+" "+seen.RequestURI, "POST /integrations/oauth2/api/v1/jwt/exchange"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := seen.Header.Get("Content-Type"), "application/x-www-form-urlencoded"; got != want {
		t.Errorf("content type: got %q, want %q", got, want)
	}
	if got, want := seen.Header.Get("Accept"), "application/json"; got != want {
		t.Errorf("accept: got %q, want %q", got, want)
	}
	// One request on a connection: see NewClient.
	if got, want := seen.Proto, "HTTP/1.1"; got != want {
		t.Errorf("protocol: got %q, want %q", got, want)
	}
	got, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"client_id": {clientID}, "client_secret": {clientSecret}, "jwt_token": {assertion}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("body: got %v, want %v", got, want)
	}
	for name, values := range seen.Header {
		for _, secret := range []string{clientID, clientSecret, url.QueryEscape(clientSecret), assertion} {
			if strings.Contains(strings.Join(values, "\n"), secret) {
				t.Errorf("header %s holds %q, want it in the body alone", name, secret)
			}
		}
	}
}

func TestExchangeExpiresIn(t *testing.T) {
	t.Parallel()
	const (
		longest     = 32 * 24 * time.Hour
		disbelieved = -1
	)
	tests := []struct {
		name, raw string
		want      time.Duration
	}{
		{"number", `3600`, time.Hour},
		{"string", `"3600"`, time.Hour},
		{"string with spaces", `" 3600 "`, time.Hour},
		{"float", `3600.5`, time.Hour + 500*time.Millisecond},
		{"float in a string", `"1799.5"`, 1799*time.Second + 500*time.Millisecond},
		{"exponent", `36e2`, time.Hour},
		{"less than a second", `0.5`, 500 * time.Millisecond},
		{"one second", `1`, time.Second},
		{"zero, as in Adobe's sample", `0`, 0},
		{"zero in a string", `"0"`, 0},
		{"zero as a float", `0.0`, 0},
		{"negative", `-1`, 0},
		{"negative in a string", `"-3600"`, 0},
		{"hugely negative", `-1e999`, 0},
		{"longest", `2764800`, longest},
		{"one second too long", `2764801`, disbelieved},
		{"milliseconds by mistake", `1800000000`, disbelieved},
		{"28800000, as of milliseconds", `28800000`, disbelieved},
		{"beyond a duration", `9223372037`, disbelieved},
		{"beyond 64 bits", `100000000000000000000`, disbelieved},
		{"beyond a float", `1e999`, disbelieved},
		{"beyond a float in a string", `"1e999"`, disbelieved},
		{"infinity", `"Infinity"`, 0},
		{"inf", `"inf"`, 0},
		{"nan", `"NaN"`, 0},
		{"hexadecimal", `"0x10"`, 0},
		{"hexadecimal float", `"0x1p4"`, 0},
		{"digits with underscores", `"3_600"`, 0},
		{"unit", `"3600s"`, 0},
		{"word", `"never"`, 0},
		{"two numbers", `"1 2"`, 0},
		{"signs alone", `"+-"`, 0},
		{"empty string", `""`, 0},
		{"true", `true`, 0},
		{"null", `null`, 0},
		{"object", `{"seconds":3600}`, 0},
		{"array", `[3600]`, 0},
		{"missing", ``, 0},
	}
	var raw string
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		if raw != "" {
			raw = `,"expires_in":` + raw
		}
		answer(w, http.StatusOK, session(raw))
	})
	c := newClient(t, h.endpoint(), time.Now)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw = tt.raw
			got, err := exchangeWith(bounded(t), c, 0)
			if err != nil {
				t.Fatal(err)
			}
			want, wantDisbelieved := tt.want, false
			if want == disbelieved {
				want, wantDisbelieved = 0, true
			}
			if got.ExpiresIn != want || got.Disbelieved != wantDisbelieved {
				t.Errorf("expires_in %s: got %v, disbelieved: %t, want %v, %t", tt.raw, got.ExpiresIn, got.Disbelieved, want, wantDisbelieved)
			}
			if got.Token != sessionToken {
				t.Errorf("token: got %q, want %q", got.Token, sessionToken)
			}
		})
	}
}

func TestExchangeAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 4096)
	pad := func(size int) string {
		rest := session(`,"pad":""`)
		return session(fmt.Sprintf(`,"pad":%q`, strings.Repeat("x", size-len(rest))))
	}
	tests := []struct {
		name, body  string
		contentType string
		status      int
		want        outcome
		wantToken   string
		wantType    string
		wantText    string // in the error
	}{
		{name: "as documented", body: session(`,"refresh_token":"r","expires_in":0,"wid":"w"`), wantToken: sessionToken, wantType: "sessionID"},
		{name: "another token type", body: `{"access_token":"t","token_type":"Bearer"}`, wantToken: "t", wantType: "Bearer"},
		{name: "no token type", body: `{"access_token":"t"}`, wantToken: "t", wantType: "sessionID"},
		{name: "empty token type", body: `{"access_token":"t","token_type":" "}`, wantToken: "t", wantType: "sessionID"},
		{name: "token type null", body: `{"access_token":"t","token_type":null}`, wantToken: "t", wantType: "sessionID"},
		{name: "token type of another type", body: `{"access_token":"t","token_type":{"a":1}}`, wantToken: "t", wantType: "sessionID"},
		{name: "token type with control characters", body: `{"access_token":"t","token_type":"a\u001b[1m\nb"}`, wantToken: "t", wantType: "sessionID"},
		{name: "token type that could be a credential", body: `{"access_token":"t","token_type":"GOoSEv4Zt7"}`, wantToken: "t", wantType: "sessionID"},
		{
			name: "token type that echoes the token", body: `{"access_token":"` + sessionToken + `","token_type":"x ` + sessionToken + `"}`,
			wantToken: sessionToken, wantType: "sessionID",
		},
		{
			name: "token type of the vocabulary", body: `{"access_token":"t","token_type":"invalid_client"}`,
			wantToken: "t", wantType: "sessionID",
		},
		{name: "status 201", status: http.StatusCreated, body: session(""), wantToken: sessionToken, wantType: "sessionID"},
		{name: "error null", body: session(`,"error":null`), wantToken: sessionToken, wantType: "sessionID"},
		{name: "content type does not matter", contentType: "text/plain", body: session(""), wantToken: sessionToken, wantType: "sessionID"},
		{name: "longest token", body: `{"access_token":"` + long + `"}`, wantToken: long, wantType: "sessionID"},
		{name: "token of all that a header carries", body: `{"access_token":"!~:;=/+_-"}`, wantToken: "!~:;=/+_-", wantType: "sessionID"},
		{name: "exactly 64 KiB", body: pad(64 << 10), wantToken: sessionToken, wantType: "sessionID"},

		{name: "more than 64 KiB", body: pad(64<<10 + 1), want: permanent, wantText: "65536"},
		{name: "no token", body: `{"token_type":"sessionID"}`, want: permanent, wantText: "no access_token"},
		{name: "token null", body: `{"access_token":null}`, want: permanent, wantText: "no access_token"},
		{name: "empty token", body: `{"access_token":""}`, want: permanent, wantText: "no access_token"},
		{name: "token of another type", body: `{"access_token":5}`, want: permanent, wantText: "no access_token"},
		{name: "token too long", body: `{"access_token":"` + long + `a"}`, want: permanent, wantText: "4096 bytes"},
		{name: "token with a space", body: `{"access_token":"a b"}`, want: permanent, wantText: "no header carries"},
		{name: "token with a new line", body: `{"access_token":"a\r\nHost: b"}`, want: permanent, wantText: "no header carries"},
		{name: "token with delete", body: `{"access_token":"a\u007f"}`, want: permanent, wantText: "no header carries"},
		{name: "token beyond ASCII", body: `{"access_token":"é"}`, want: permanent, wantText: "no header carries"},
		{name: "the client secret", body: object("access_token", clientSecret), want: permanent, wantText: "no access_token"},
		{name: "the assertion", body: object("access_token", madeUpAssertion), want: permanent, wantText: "no access_token"},
		{name: "token with a quote", body: `{"access_token":"a\"b"}`, want: permanent, wantText: "quotes or backslashes"},
		{name: "token with an apostrophe", body: `{"access_token":"a'b"}`, want: permanent, wantText: "quotes or backslashes"},
		{name: "token with a backslash", body: `{"access_token":"a\\b"}`, want: permanent, wantText: "quotes or backslashes"},
		{name: "HTML", contentType: "text/html; charset=utf-8", body: "<html>Log in</html>", want: permanent, wantText: "text/html"},
		{name: "unreadable content type", contentType: ";", body: "Log in", want: permanent, wantText: "unknown"},
		{name: "truncated JSON", body: session("")[:40], want: permanent, wantText: "JSON"},
		{name: "JSON array", body: "[" + session("") + "]", want: permanent, wantText: "JSON"},
		{name: "text behind the JSON", body: session("") + "x", want: permanent, wantText: "JSON"},
		{name: "empty body", body: "", want: permanent, wantText: "JSON"},
		{name: "no content", status: http.StatusNoContent, want: permanent, wantText: "204"},
		{name: "error object", body: `{"error":{"class":"com.attask.common.InvalidParameterException","message":"no such field"}}`, want: refused, wantText: "com.attask.common.InvalidParameterException: no such field"},
		{name: "error string", body: `{"error":"invalid_grant"}`, want: refused, wantText: "invalid_grant"},
		{name: "error besides a token", body: session(`,"error":"invalid_grant"`), want: refused, wantText: "invalid_grant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, contentType := tt.status, tt.contentType
			if status == 0 {
				status = http.StatusOK
			}
			if contentType == "" {
				contentType = "application/json"
			}
			if tt.want == "" {
				tt.want = success
			}
			h := newHost(t, always(status, tt.body, "Content-Type", contentType))
			got, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 2)
			checkOutcome(t, err, tt.want)
			if got, want := h.count(), 1; got != want {
				t.Errorf("got %d requests, want %d: a session may have been started", got, want)
			}
			if err != nil {
				if got != nil {
					t.Errorf("got a session besides the error")
				}
				if !strings.HasPrefix(err.Error(), "exchange jwt: ") || !strings.Contains(err.Error(), tt.wantText) {
					t.Errorf(`got %q, want "exchange jwt: " and %q in it`, err, tt.wantText)
				}
				return
			}
			if got.Token != tt.wantToken || got.TokenType != tt.wantType {
				t.Errorf("got %q, %q, want %q, %q", got.Token, got.TokenType, tt.wantToken, tt.wantType)
			}
		})
	}
}

// A session whose token is refused can be logged out: the error holds it.
func TestExchangeUnusableSession(t *testing.T) {
	t.Parallel()
	h := newHost(t, always(http.StatusOK, `{"access_token":"a\"b","expires_in":60}`))
	_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 0)
	var unusable *workfront.UnusableSessionError
	if !errors.As(err, &unusable) || unusable.Session.Token != `a"b` || unusable.Session.ExpiresIn != time.Minute {
		t.Errorf("got %#v, want an error that holds the session", err)
	}
	checkSecrecy(t, err, `a"b`)
}

// Nothing is decoded, so what is bounded is what came. Another encoding is named if it is a known one.
func TestExchangeEncodings(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"gzip": "encoded as gzip", "GZIP": "encoded as gzip", "x-gzip": "encoded as x-gzip", "br": "encoded as br",
		"deflate": "encoded as deflate", "compress": "encoded as compress", "zstd": "encoded as zstd",
		"gzip, br": "encoded as unknown", "s3cret": "encoded as unknown",
	} {
		for _, status := range []int{200, 400, 500} {
			h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
				if got, want := strings.Join(r.Header.Values("Accept-Encoding"), ","), "identity"; got != want {
					t.Errorf("accept-encoding: got %q, want %q", got, want)
				}
				answer(w, status, "\x1f\x8b\x08\x00", "Content-Encoding", sent)
			})
			_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 0)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s, %d: got %v, want %q in it", sent, status, err, want)
			}
		}
	}
}

// An answer without end must neither fill the memory nor keep the caller until its deadline.
func TestExchangeStopsReadingAnEndlessAnswer(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		chunk := []byte(strings.Repeat(" ", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	ctx := bounded(t)
	_, err := exchangeWith(ctx, newClient(t, h.endpoint(), time.Now), 0)
	checkOutcome(t, err, permanent)
	if ctx.Err() != nil {
		t.Error("got the answer's end by the deadline, want it by its length")
	}
}

func TestExchangeRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   string // RefusedError.Message
		code   string
	}{
		{"OAuth error", 400, `{"error":"invalid_grant"}`, "", "invalid_grant"},
		{"OAuth error with description", 401, `{"error":"invalid_client","error_description":"no such client"}`, "no such client", "invalid_client"},
		{"OAuth error in words", 400, `{"error":"Bad Request","message":"Missing parameter"}`, "Bad Request: Missing parameter", ""},
		{
			"OAuth service", 401, `{"statusCode":401,"error":true,"type":"UnauthorizedError","message":"The client is unknown"}`,
			"The client is unknown", "UnauthorizedError",
		},
		{"OAuth service without a message", 401, `{"statusCode":401,"error":true,"type":"invalid_client"}`, "", "invalid_client"},
		{"both codes", 400, `{"error":"invalid_grant","type":"expired_token"}`, "expired_token", "invalid_grant"},
		{"the same twice", 403, `{"error":"Forbidden","message":"Forbidden"}`, "", "Forbidden"},
		{"type that is a URL", 400, `{"type":"https://example.com/x","message":"bad request"}`, "(not shown: 1 word): bad request", ""},
		{
			"API error", 401, `{"error":{"class":"com.attask.common.AuthenticationException","message":"bad"}}`,
			"com.attask.common.AuthenticationException: bad", "",
		},
		{"API error with a message alone", 403, `{"error":{"message":"bad"}}`, "bad", ""},
		{"message", 401, `{"message":"refused"}`, "refused", ""},
		{"message with 404", 404, `{"message":"no such application"}`, "no such application", ""},
		{"message with 410", 410, `{"message":"no such application"}`, "no such application", ""},
		{"as text/html", 401, `{"error":"invalid_client","message":"unknown"}`, "unknown", "invalid_client"},
		{"with a byte order mark", 401, "\xef\xbb\xbf" + `{"error":"invalid_client"}`, "", "invalid_client"},
		{"error of another type", 400, `{"error":["a"],"message":"still read"}`, "still read", ""},
		{"description of another type", 400, `{"error":"invalid_grant","error_description":5,"message":"still read"}`, "still read", "invalid_grant"},
		{"names with escapes", 400, `{"\u0065rror":"invalid_grant","mess\u0061ge":"still read"}`, "still read", "invalid_grant"},
		{"the last of two counts", 400, `{"error":"x","message":"bad","message":"still read","error":"invalid_grant"}`, "still read", "invalid_grant"},
		{"names in other letters", 400, `{"Error":"invalid_grant","MESSAGE":"bad"}`, "", ""},
		{"unknown members", 422, `{"detail":"could be anything","trace":["x"]}`, "", ""},
		{"error null", 400, `{"error":null}`, "", ""},
		{"not an object", 400, `"text"`, "", ""},
		{"HTML", 401, `<html>forbidden</html>`, "", ""},
		{"empty", 400, ``, "", ""},
		{"several lines", 400, `{"message":"the request\r\n\tis not valid"}`, "the request is not valid", ""},
		{"control characters", 400, `{"message":"the request\u001b[31m is not valid"}`, "the … is not valid", ""},
		{"direction of the text", 400, `{"message":"the request \u202eis not valid"}`, "the request … not valid", ""},
		{"white space alone", 400, `{"error":" \n ","message":"not valid"}`, "not valid", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			contentType := "application/json"
			if tt.name == "as text/html" {
				contentType = "text/html; charset=utf-8"
			}
			h := newHost(t, always(tt.status, tt.body, "Content-Type", contentType))
			_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 2)
			checkOutcome(t, err, refused)
			var r *workfront.RefusedError
			if !errors.As(err, &r) {
				t.FailNow()
			}
			if r.Status != tt.status || r.Code != tt.code || r.Message != tt.want {
				t.Errorf("got %d %q %q, want %d %q %q", r.Status, r.Code, r.Message, tt.status, tt.code, tt.want)
			}
			if want := fmt.Sprintf("HTTP status %d", tt.status); !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it", err, want)
			}
			if got, want := h.count(), 1; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
		})
	}
}

func TestExchangeCutsMessages(t *testing.T) {
	t.Parallel()
	const most = 300 + len("…")
	sentence := strings.Repeat("the client's request is not valid ", 200)
	tests := []struct{ name, body string }{
		{"one long member", `{"message":"` + sentence + `"}`},
		{"escaped", `{"message":"` + strings.ReplaceAll(sentence, "e", `\u0065`) + `"}`},
		{"many members", `{"error":{"class":"` + sentence[:280] + `","message":"` + sentence[10:290] +
			`"},"error_description":"` + sentence[20:290] + `","message":"` + sentence[30:280] + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, always(http.StatusBadRequest, tt.body))
			_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 0)
			var r *workfront.RefusedError
			if !errors.As(err, &r) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if got := len(r.Message); got > most || got < 250 {
				t.Errorf("got %d bytes, want at most %d, and not much less: %q", got, most, r.Message)
			}
			if !utf8.ValidString(r.Message) || strings.ContainsRune(r.Message, unicode.ReplacementChar) {
				t.Errorf("got %q, want valid UTF-8", r.Message)
			}
			// It ends with a whole word.
			words := strings.Fields(strings.TrimSuffix(r.Message, "…"))
			if last := words[len(words)-1]; !strings.HasSuffix(r.Message, "…") || !strings.Contains(" "+sentence, " "+strings.TrimSuffix(last, ":")+" ") {
				t.Errorf("got %q, want a whole word and … at its end", r.Message)
			}
		})
	}
}

// The paths by which the stand-in refuses credentials.
func TestExchangeRefusedCredentials(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	tests := []struct {
		name   string
		change func(*workfront.ExchangeRequest)
	}{
		{"wrong client secret", func(r *workfront.ExchangeRequest) { r.ClientSecret = "wrong" }},
		{"unknown client", func(r *workfront.ExchangeRequest) { r.ClientID = "unknown" }},
		{"no client secret", func(r *workfront.ExchangeRequest) { r.ClientSecret = "" }},
		{"wrong customer", func(r *workfront.ExchangeRequest) { r.Assertion = signed(sign(t, "customer-of-others", userID)) }},
		{"wrong user", func(r *workfront.ExchangeRequest) { r.Assertion = signed(sign(t, s.App.CustomerID, "user-of-others")) }},
		{"damaged signature", func(r *workfront.ExchangeRequest) {
			whole := assertionOf(*r)
			r.Assertion = signed(whole[:len(whole)-8] + "AAAAAAAA")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.request(t, 2)
			tt.change(&r)
			before := s.Stats()
			_, err := c.Exchange(bounded(t), r)
			checkOutcome(t, err, refused)
			after := s.Stats()
			if got, want := after.Exchanges-before.Exchanges, 1; got != want {
				t.Errorf("got %d requests, want %d", got, want)
			}
			if got, want := after.Started-before.Started, 0; got != want {
				t.Errorf("got %d sessions, want %d", got, want)
			}
		})
	}
}
