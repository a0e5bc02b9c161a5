package check_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"vault-plugin-secrets-workfront/internal/settings"
)

// scripted is a Workfront that answers in ways that the stand-in, which is strict, does not. It has one session at a
// time.
type scripted struct {
	exchange string // the answer to an exchange
	session  string // the answer to GET …/session
	strict   bool   // refuses every exchange but the first

	mu        sync.Mutex
	exchanges int
	alive     bool
}

const scriptedToken = "0123456789abcdef0123456789abcdef"

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, body string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch path := r.URL.Path; {
	case path == "/":
	case strings.HasSuffix(path, "/jwt/exchange"):
		if s.exchanges++; s.strict && s.exchanges > 1 {
			answer(http.StatusBadRequest, `{"error":"invalid_grant"}`)
			return
		}
		s.alive = true
		answer(http.StatusOK, s.exchange)
	case !s.alive || r.Header.Get("sessionID") != scriptedToken:
		answer(http.StatusUnauthorized, `{"error":{"message":"You are not currently logged in."}}`)
	case strings.HasSuffix(path, "/logout"):
		s.alive = false
		answer(http.StatusOK, `{"data":{"success":true}}`)
	case strings.HasSuffix(path, "/session"):
		answer(http.StatusOK, s.session)
	default:
		answer(http.StatusOK, `{"data":{"ID":"x"}}`)
	}
}

// started returns the answer to an exchange, with members besides.
func started(members string) string {
	return fmt.Sprintf(`{"access_token":%q,"token_type":"sessionID"%s}`, scriptedToken, members)
}

// use has a fixture talk to another Workfront than the stand-in.
func (f *fixture) use(h http.Handler) {
	f.t.Helper()
	server := httptest.NewTLSServer(h)
	f.t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	f.move(settings.Changes{settings.FieldBaseURL: server.URL, settings.FieldCACert: ca})
}
