package workfront_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const (
	// The secret is full of what URL encoding changes, so that its encoded form is another text.
	clientSecret = `s3cr&t/+ "é%zz`
	clientID     = "client-0f7a"
	userID       = "user-51c2"
	apiVersion   = "v22.0"
	sessionToken = "f00dfeedf00dfeedf00dfeedf00dfeed"

	// patience bounds what should not wait at all, far above what a busy machine takes.
	patience = 30 * time.Second
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system's source of randomness is broken
	}
	return key
})

func sign(t *testing.T, issuer, subject string) string {
	t.Helper()
	signed, err := workfront.NewSigner(signingKey()).Sign(workfront.Claims{Issuer: issuer, Subject: subject, ExpiresAt: time.Now().Add(3 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// host answers as its handler says, and counts. The handler gets the number of the request, from 1.
type host struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
}

type handler func(w http.ResponseWriter, r *http.Request, n int)

func newHost(t *testing.T, h handler, prepare ...func(*httptest.Server)) *host {
	t.Helper()
	s := &host{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		n := s.requests
		s.mu.Unlock()
		h(w, r, n)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what some tests are about
	for _, p := range prepare {
		p(s.Server)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *host) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *host) endpoint() workfront.Endpoint {
	return workfront.Endpoint{BaseURL: s.URL, CACert: certificatePEM(s.Certificate())}
}

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// always gives every request the same answer.
func always(status int, body string, headers ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { answer(w, status, body, headers...) }
}

// answer writes JSON, unless headers, given as name and value in turn, say otherwise.
func answer(w http.ResponseWriter, status int, body string, headers ...string) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func session(members string) string {
	return fmt.Sprintf(`{"token_type":"sessionID","access_token":%q%s}`, sessionToken, members)
}

func newClient(t *testing.T, e workfront.Endpoint, now func() time.Time) *workfront.Client {
	t.Helper()
	clients := workfront.NewClients(workfront.ClientsOptions{Now: now})
	t.Cleanup(clients.Close)
	return clientOf(t, clients, e)
}

func clientOf(t *testing.T, clients *workfront.Clients, e workfront.Endpoint) *workfront.Client {
	t.Helper()
	c, err := clients.Client(e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bounded is a context for a call that is not expected to run into its deadline.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

const madeUpAssertion = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjIn0.c2lnbmF0dXJl"

func signed(assertion string) func() (string, error) {
	return func() (string, error) { return assertion, nil }
}

func assertionOf(r workfront.ExchangeRequest) string {
	assertion, _ := r.Assertion()
	return assertion
}

// exchangeWith exchanges a made-up assertion, for hosts that do not look at it.
func exchangeWith(ctx context.Context, c *workfront.Client, maxRetries int) (*workfront.Session, error) {
	return c.Exchange(ctx, workfront.ExchangeRequest{
		ClientID: clientID, ClientSecret: clientSecret, Assertion: signed(madeUpAssertion), MaxRetries: maxRetries,
	})
}

// outcome is an error in the form in which tables state it.
type outcome string

const (
	success            outcome = "success"
	refused            outcome = "refused"
	transient          outcome = "unavailable, transient"
	permanent          outcome = "unavailable, for an operator to mend"
	unclear            outcome = "logout not confirmed"
	canceled           outcome = "canceled"
	outcomeOfOtherKind outcome = "an error of no documented kind"
)

func outcomeOf(err error) outcome {
	var r *workfront.RefusedError
	var u *workfront.UnavailableError
	switch {
	case err == nil:
		return success
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, workfront.ErrUnclearLogout):
		return unclear
	case errors.As(err, &r):
		return refused
	case errors.As(err, &u) && u.Transient && workfront.IsTransient(err):
		return transient
	case errors.As(err, &u) && !u.Transient && !workfront.IsTransient(err):
		return permanent
	}
	return outcomeOfOtherKind
}

func checkOutcome(t *testing.T, err error, want outcome) {
	t.Helper()
	if got := outcomeOf(err); got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

// standIn is the strict Workfront of package workfronttest, with an application that knows the signing key.
type standIn struct {
	*workfronttest.Integration
}

func newStandIn(t *testing.T, o workfronttest.Options) *standIn {
	t.Helper()
	s, err := workfronttest.StartIntegrationAs(o,
		workfronttest.Application{ClientID: clientID, ClientSecret: clientSecret, CustomerID: "customer-9b"},
		workfronttest.User{ID: userID, Name: "Ida Integration"},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	der, err := x509.MarshalPKIXPublicKey(&signingKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if _, err := s.Upload(public); err != nil {
		t.Fatal(err)
	}
	return &standIn{s}
}

func (s *standIn) endpoint() workfront.Endpoint {
	return workfront.Endpoint{BaseURL: s.URL(), CACert: s.CACert()}
}

func (s *standIn) request(t *testing.T, maxRetries int) workfront.ExchangeRequest {
	t.Helper()
	return workfront.ExchangeRequest{
		ClientID: s.App.ClientID, ClientSecret: s.App.ClientSecret,
		Assertion: signed(sign(t, s.App.CustomerID, userID)), MaxRetries: maxRetries,
	}
}

// start exchanges for a session that is needed to test something else.
func (s *standIn) start(t *testing.T, c *workfront.Client) string {
	t.Helper()
	got, err := c.Exchange(bounded(t), s.request(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	return got.Token
}

// newStandInCA returns the CA of a stand-in that nobody calls.
func newStandInCA(t *testing.T) string {
	t.Helper()
	return newStandIn(t, workfronttest.Options{}).CACert()
}
