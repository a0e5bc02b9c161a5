package workfront_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// script answers requests without a network.
type script func(req *http.Request) *http.Response

func (s script) RoundTrip(req *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{}) // without it, the request counts as never sent
	}
	return s(req), nil
}

func scripted(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}
}

// finalStatus makes a status that can end an exchange of messages out of any number.
func finalStatus(n uint16) int { return 200 + int(n%400) }

// echoing puts what was sent where text has a name for it: as it is, as URL encoding has it, and as in a JSON string.
func echoing(text string, sent map[string]string) string {
	for name, value := range sent {
		quoted, _ := json.Marshal(value) // never fails for a string
		text = strings.NewReplacer("{"+name+"}", value, "{"+name+" escaped}", url.QueryEscape(value), "{"+name+" quoted}", string(quoted[1:len(quoted)-1])).Replace(text)
	}
	return text
}

// checkFuzzedError checks what every error of the client has to be, whatever the answer was.
func checkFuzzedError(t *testing.T, err error, sent map[string]string) {
	t.Helper()
	switch outcomeOf(err) {
	case outcomeOfOtherKind, canceled, success:
		t.Errorf("got %#v, want an error of a documented kind", err)
	}
	checkFuzzedText(t, err.Error(), 800, sent)
}

func checkFuzzedText(t *testing.T, text string, limit int, sent map[string]string) {
	t.Helper()
	for name, value := range sent {
		for _, form := range []string{value, url.QueryEscape(value)} {
			if strings.Contains(text, form) {
				t.Errorf("got %q, want no %s in it", text, name)
			}
		}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("got %q, want no control characters in it", text)
	}
	if len(text) > limit {
		t.Errorf("got %d bytes, want %d at most: %q", len(text), limit, text)
	}
}

// fuzzedRequest is what the fuzz targets send. The assertion is made up, because nothing looks at it.
var fuzzedRequest = workfront.ExchangeRequest{
	ClientID: clientID, ClientSecret: clientSecret, Assertion: signed(madeUpAssertion),
}

func sentInExchange() map[string]string {
	return map[string]string{"secret": fuzzedRequest.ClientSecret, "assertion": madeUpAssertion}
}

// FuzzExchangeAnswer looks for an answer that is neither a session that can be used and logged out nor a clean error.
func FuzzExchangeAnswer(f *testing.F) {
	const ok, kind = 0, "application/json;charset=utf-8"
	for _, seed := range []struct {
		status      uint16
		contentType string
		body        string
	}{
		{ok, kind, `{"token_type":"sessionID","access_token":"f00d","refresh_token":"beef","expires_in":0,"wid":"x"}`},
		{ok, kind, `{"access_token":"f00d","expires_in":" 3600 "}`},
		{ok, kind, `{"access_token":"f00d","expires_in":1e308}`},
		{ok, kind, `{"access_token":"f00d","expires_in":-1e999,"error":null}`},
		{ok, kind, `{"access_token":"f00d","expires_in":"NaN","token_type":"{secret quoted} {assertion} f00d"}`},
		{ok, kind, `{"access_token":"a b"}`},
		{ok, kind, `{"access_token":["f00d"],"error":{"class":"x","message":"{secret quoted}"}}`},
		{ok, kind, `{"error":{"message":1,"class":"\u001b[31m{secret escaped}"}}`},
		{ok, "text/html", `<html>{secret}</html>`},
		{ok, "text/{secret escaped}; x={assertion}", `{`},
		{200, kind, `{"error":"invalid_grant","error_description":"{assertion} and {secret quoted}"}`},
		{201, kind, `{"error":"x","message":"` + strings.Repeat("x", 290) + `{secret quoted}"}`},
		{204, kind, `{"message":"` + strings.ReplaceAll(clientSecret, ` "`, `\t\"`) + `"}`},
		{107, "", ``},
		{229, "", `{}`},
		{303, kind, `[null]`},
	} {
		f.Add(seed.status, seed.contentType, seed.body)
	}
	f.Fuzz(func(t *testing.T, n uint16, contentType, body string) {
		status, sent := finalStatus(n), sentInExchange()
		body = echoing(body, sent)
		c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
		c.Over(script(func(*http.Request) *http.Response { return scripted(status, echoing(contentType, sent), body) }))
		got, err := c.Exchange(t.Context(), fuzzedRequest)
		if err != nil {
			checkFuzzedError(t, err, sent)
			return
		}
		checkFuzzedSession(t, got, status, body, sent)
	})
}

func checkFuzzedSession(t *testing.T, got *workfront.Session, status int, body string, sent map[string]string) {
	t.Helper()
	said := decoded(body)
	if said["access_token"] != got.Token || status > 299 {
		t.Errorf("got the session %q from HTTP status %d and %q", got.Token, status, body)
	}
	switch said["error"] {
	case nil, "", false:
	default:
		t.Errorf("got a session from %q, which states an error", body)
	}
	if strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r > '~' }) || got.Token == "" || len(got.Token) > 4096 {
		t.Errorf("got the token %q, which no header carries", got.Token)
	}
	if got.ExpiresIn < 0 || got.ExpiresIn > 32*24*time.Hour {
		t.Errorf("got a life of %v", got.ExpiresIn)
	}
	checkFuzzedText(t, got.TokenType, 310, sent)
	if got.TokenType == "" {
		t.Error("got no type of token")
	}
}

// FuzzExchangeWire does the same one layer below: the answer need not be HTTP.
func FuzzExchangeWire(f *testing.F) {
	const body = `{"access_token":"f00d"}`
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	// net/http logs what follows an answer; the plugin's main sees to it that nobody reads that.
	log.SetOutput(io.Discard)
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, raw := range []string{
		whole, whole + "{secret}", "HTTP/1.1 100 Continue\r\n\r\n" + whole, whole[:len(whole)-3], "", "{secret}\r\n\r\n", "HTTP/1.1 {secret}\r\n\r\n",
		"HTTP/1.1 200 OK\r\n{secret}\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: {secret}\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: {assertion}\r\n\r\n",
		"HTTP/1.1 307 x\r\nLocation: https://[{secret escaped}\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 x\r\nUpgrade: {secret escaped}\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n" + body + "\r\n0\r\n{secret}: x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n{secret}", "HTTP/1.0 503 {secret}\r\nRetry-After: 0\r\n\r\n",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		sent := sentInExchange()
		c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
		c.DialOver(func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer func() { _ = server.Close() }()
				if req, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(server, echoing(raw, sent))
				}
			}()
			return client, nil
		})
		got, err := c.Exchange(bounded(t), fuzzedRequest)
		if err != nil {
			checkFuzzedError(t, err, sent)
			return
		}
		checkFuzzedText(t, got.TokenType, 310, sent)
	})
}

// FuzzLogoutAnswer looks for answers after which a session counts as ended, although Workfront did not say so.
func FuzzLogoutAnswer(f *testing.F) {
	const ok, gone, done = 0, 201, `{"data":{"success":true}}`
	for _, seed := range [][2]string{
		{done, ""},
		{`{"data":{"success":false}}`, done},
		{`{"error":{"class":"com.attask.common.AuthenticationException"}}`, `{"message":"You are not currently logged in."}`},
		{`{"data":{"success":"true"}}`, `{"data":{"success":1}}`},
		{`{"data":[true],"error":""}`, `{"data":true}`},
		{`{"data":{"success":true},"error":"no {token}"}`, `{"data":{"success":true},"error":{}}`},
		{`{"DATA":{"SUCCESS":true}}`, `{"data":{"Success":true}}`},
		{`{"data":{"success":true},"data":{}}`, `{"data":{"success":true,"success":false}}`},
		{`{"data":{"success":true},"error":"no","Error":""}`, ""},
		{`<html>{token}</html>`, `{"success":true}`},
		{done + done, `null`},
	} {
		f.Add(uint16(ok), seed[0], uint16(ok), seed[1])
		f.Add(uint16(gone), seed[0], uint16(ok), seed[1])
		f.Add(uint16(ok), seed[0], uint16(gone), seed[1])
		f.Add(uint16(303), seed[0], uint16(303), seed[1])
		f.Add(uint16(205), seed[0], uint16(ok), seed[1])
	}
	f.Fuzz(func(t *testing.T, n1 uint16, body1 string, n2 uint16, body2 string) {
		sent := map[string]string{"token": sessionToken}
		answers := []struct {
			status int
			body   string
		}{{finalStatus(n1), echoing(body1, sent)}, {finalStatus(n2), echoing(body2, sent)}}
		var methods []string
		c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
		c.Over(script(func(r *http.Request) *http.Response {
			a := answers[min(len(methods), 1)]
			methods = append(methods, r.Method)
			return scripted(a.status, "application/json", a.body)
		}))
		err := c.Logout(t.Context(), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}})
		want, wantMethods := expectedLogout(func(n int) (int, string) {
			a := answers[min(n, 1)]
			return a.status, a.body
		})
		if want != (err == nil) {
			t.Errorf("got %v after the answers %+v, want success: %t", err, answers, want)
		}
		if !slices.Equal(methods, wantMethods) {
			t.Errorf("got %v for the answers %+v, want %v", methods, answers, wantMethods)
		}
		if err != nil {
			checkFuzzedError(t, err, sent)
		}
	})
}

// expectedLogout restates design 2, for one version: done when Workfront says so or no longer knows the session; POST after an
// unclear 2xx, once, and where GET is refused.
func expectedLogout(answer func(n int) (int, string)) (done bool, methods []string) {
	ask := func(method string) (ends, unclear bool) {
		status, body := answer(len(methods))
		methods = append(methods, method)
		done = saysGone(status, body) || status < 300 && saysLoggedOut(body)
		unclear = !done && status < 300
		return !unclear && !slices.Contains([]int{400, 404, 405, 410}, status) || done, unclear
	}
	ends, unclear := ask(http.MethodGet)
	if ends {
		return done, methods
	}
	if ends, again := ask(http.MethodPost); ends || unclear || !again {
		return done, methods
	}
	ask(http.MethodPost)
	return done, methods
}

// saysGone reports whether an answer says that the session is dead.
func saysGone(status int, body string) bool {
	said := decoded(body)
	inner, _ := said["error"].(map[string]any)
	for _, text := range []any{inner["message"], inner["class"], said["message"], said["error"], said["error_description"], said["type"]} {
		if s, _ := text.(string); strings.Contains(s, "You are not currently logged in") {
			return true
		}
	}
	class, isText := inner["class"].(string)
	return class == "com.attask.common.AuthenticationException" || isText && status == http.StatusUnauthorized
}

// decoded reads an answer as JavaScript would, which is what Workfront's own client is written in: names are exact, and
// of two members with the same name the last counts.
func decoded(body string) map[string]any {
	body = strings.TrimPrefix(body, "\xef\xbb\xbf")
	if !json.Valid([]byte(body)) {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var said map[string]any
	if decoder.Decode(&said) != nil {
		return nil
	}
	return said
}

func saysLoggedOut(body string) bool {
	said := decoded(body)
	switch said["error"] {
	case nil, "", false:
	default:
		return false
	}
	data, _ := said["data"].(map[string]any)
	return data["success"] == true
}
