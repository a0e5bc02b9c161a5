package workfront_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// checkSecrecy looks for secrets in an error without regard to case, which HTTP changes in some places.
func checkSecrecy(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error, want one")
	}
	text := strings.ToLower(err.Error())
	for _, s := range secrets {
		for _, form := range []string{s, url.QueryEscape(s)} {
			if strings.Contains(text, strings.ToLower(form)) {
				t.Errorf("got %q, want no %q in it", err, form)
				break
			}
		}
	}
}

// secretsOf lists what of a request must not come back: of the assertion, each part on its own too.
func secretsOf(r workfront.ExchangeRequest) []string {
	assertion := assertionOf(r)
	return append(strings.Split(assertion, "."), assertion, r.ClientSecret)
}

func reply(w http.ResponseWriter, raw string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, raw)
	_ = conn.Close()
}

func object(name, value string) string {
	return fmt.Sprintf(`{%q:%s}`, name, strconv.QuoteToASCII(value))
}

// Servers repeat what they were sent, on purpose (debug modes) or not (gateways), wherever they can.
var echoes = []struct {
	name string
	echo func(w http.ResponseWriter, sent string)
}{
	{"OAuth error", func(w http.ResponseWriter, sent string) { answer(w, 400, object("error", sent)) }},
	{"OAuth description", func(w http.ResponseWriter, sent string) { answer(w, 401, object("error_description", sent)) }},
	{"API error's message", func(w http.ResponseWriter, sent string) {
		answer(w, 403, `{"error":`+object("message", sent)+`}`)
	}},
	{"API error's class", func(w http.ResponseWriter, sent string) { answer(w, 403, `{"error":`+object("class", sent)+`}`) }},
	{"message", func(w http.ResponseWriter, sent string) { answer(w, 400, object("message", sent)) }},
	{"message of 404", func(w http.ResponseWriter, sent string) { answer(w, 404, object("message", sent)) }},
	{"message of 500", func(w http.ResponseWriter, sent string) { answer(w, 500, object("message", sent)) }},
	{"error of 200", func(w http.ResponseWriter, sent string) { answer(w, 200, object("error", sent)) }},
	{"message where it is cut", func(w http.ResponseWriter, sent string) {
		answer(w, 400, object("message", strings.Repeat("x", 290)+sent))
	}},
	{"message in JSON's escapes", func(w http.ResponseWriter, sent string) {
		var b strings.Builder
		for _, r := range sent { // all of it is in the Basic Multilingual Plane
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		answer(w, 400, `{"message":"`+b.String()+`"}`)
	}},
	{"message with other white space", func(w http.ResponseWriter, sent string) {
		answer(w, 400, object("message", strings.ReplaceAll(sent, " ", "\t\n ")))
	}},
	{"unknown member", func(w http.ResponseWriter, sent string) { answer(w, 400, object("request", sent)) }},
	{"text", func(w http.ResponseWriter, sent string) { answer(w, 400, sent, "Content-Type", "text/plain") }},
	{"text of 200", func(w http.ResponseWriter, sent string) { answer(w, 200, sent, "Content-Type", "text/plain") }},
	{"redirect", func(w http.ResponseWriter, sent string) {
		answer(w, 307, "", "Location", "https://elsewhere.example/?"+url.QueryEscape(sent))
	}},
	{"redirect that cannot be read", func(w http.ResponseWriter, sent string) {
		answer(w, 307, "", "Location", "https://[elsewhere.example/?"+sent)
	}},
	{"redirect that cannot be read, escaped", func(w http.ResponseWriter, sent string) {
		answer(w, 307, "", "Location", "https://[elsewhere.example/?"+url.QueryEscape(sent))
	}},
	{"content type", func(w http.ResponseWriter, sent string) {
		answer(w, 200, "text", "Content-Type", "text/"+url.QueryEscape(sent))
	}},
	{"status line", func(w http.ResponseWriter, sent string) { reply(w, "HTTP/1.1 "+sent+"\r\n\r\n") }},
	{"no status line", func(w http.ResponseWriter, sent string) { reply(w, sent+"\r\n\r\n") }},
	{"header line", func(w http.ResponseWriter, sent string) { reply(w, "HTTP/1.1 200 OK\r\n"+sent+"\r\n\r\n") }},
	{"content length", func(w http.ResponseWriter, sent string) {
		reply(w, "HTTP/1.1 200 OK\r\nContent-Length: "+sent+"\r\n\r\n")
	}},
	{"transfer encoding", func(w http.ResponseWriter, sent string) {
		reply(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+sent+"\r\n\r\n")
	}},
}

func TestExchangeErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range echoes {
		for _, what := range []string{"client secret", "assertion", "body"} {
			t.Run(tt.name+" with the "+what, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					body, _ := io.ReadAll(r.Body)
					form, _ := url.ParseQuery(string(body))
					tt.echo(w, map[string]string{
						"client secret": form.Get("client_secret"), "assertion": form.Get("jwt_token"), "body": string(body),
					}[what])
				})
				r := workfront.ExchangeRequest{ClientID: clientID, ClientSecret: clientSecret, Assertion: signed(sign(t, "customer", userID))}
				_, err := newClient(t, h.endpoint(), time.Now).Exchange(bounded(t), r)
				checkSecrecy(t, err, secretsOf(r)...)
			})
		}
	}
}

func TestLogoutErrorsHoldNoToken(t *testing.T) {
	t.Parallel()
	for _, tt := range echoes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if r.Header.Get("sessionID") == "" {
					t.Error("got no sessionID, want one to echo")
				}
				// 401 with a class would be a success.
				tt.echo(statusFilter{w}, "session "+r.Header.Get("sessionID"))
			})
			err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}})
			checkSecrecy(t, err, sessionToken)
		})
	}
}

// statusFilter turns 401 into 403.
type statusFilter struct{ http.ResponseWriter }

func (f statusFilter) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	f.ResponseWriter.WriteHeader(status)
}

func (f statusFilter) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// The same against a Workfront that looks at what it echoes.
func TestEchoedRefusals(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	b := workfronttest.DefaultBehaviour()
	b.EchoRefusals = true
	s.SetBehaviour(b)
	c := newClient(t, s.endpoint(), time.Now)
	r := s.request(t, 0)
	r.Assertion = signed(sign(t, "customer-of-others", userID))
	_, err := c.Exchange(bounded(t), r)
	checkOutcome(t, err, refused)
	checkSecrecy(t, err, secretsOf(r)...)
	if want := "not shown"; err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	err = c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{"v1.0"}})
	checkOutcome(t, err, refused)
	checkSecrecy(t, err, sessionToken)
}

func TestFailuresOfTheConnectionHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	s.Suspend()
	r := s.request(t, 0)
	_, err := c.Exchange(bounded(t), r)
	checkSecrecy(t, err, append(secretsOf(r), clientID)...)
	checkSecrecy(t, c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}}), sessionToken)
}
