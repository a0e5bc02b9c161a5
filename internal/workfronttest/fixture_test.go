package workfronttest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
)

// keyFiles is a key pair as Adobe's openssl command makes it.
type keyFiles struct {
	private, certificate, public string
	rsa                          *rsa.PrivateKey
	err                          error
}

var (
	integrationKey = sync.OnceValue(makeKey)
	otherKey       = sync.OnceValue(makeKey)
)

func makeKey() (k keyFiles) {
	dir, err := os.MkdirTemp("", "workfronttest")
	if err != nil {
		return keyFiles{err: err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, args := range []string{
		"req -x509 -sha256 -nodes -newkey rsa:2048 -keyout private.key -out certificate_pub.crt -subj /CN=integration -days 30",
		"rsa -in private.key -pubout -out public.pem",
	} {
		command := exec.Command("openssl", strings.Fields(args)...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			return keyFiles{err: fmt.Errorf("the tests need openssl: openssl %s: %w\n%s", args, err, out)}
		}
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		k.err = firstError(k.err, err)
		return string(data)
	}
	k.private, k.certificate, k.public = read("private.key"), read("certificate_pub.crt"), read("public.pem")
	block, _ := pem.Decode([]byte(k.private))
	if k.err != nil || block == nil {
		k.err = firstError(k.err, fmt.Errorf("openssl made no PEM"))
		return k
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	k.err = err
	k.rsa, _ = parsed.(*rsa.PrivateKey)
	return k
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fixture is a server with one application, two users, and a key that the first of them added.
type fixture struct {
	*Integration
	t           *testing.T
	clock       *Clock
	colleague   string
	key         keyFiles
	fingerprint string
}

func newFixture(t *testing.T, o Options) *fixture {
	t.Helper()
	f := &fixture{
		t: t, clock: NewClock(),
		colleague: NewID(), key: integrationKey(),
	}
	fatal(t, f.key.err)
	if o.Now == nil {
		o.Now = f.clock.Now
	}
	var err error
	f.Integration, err = StartIntegration(o)
	fatal(t, err)
	t.Cleanup(f.Close)
	fatal(t, f.AddUser(User{ID: f.colleague, Name: "Carl Colleague", EmailAddr: "carl@example.com"}))
	f.fingerprint, err = f.Upload(f.key.certificate)
	fatal(t, err)
	return f
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type claims map[string]any

// claims are good ones; changes replaces members, or removes those that are nil.
func (f *fixture) claims(changes claims) claims {
	c := claims{"iss": f.App.CustomerID, "sub": f.User.ID, "exp": f.clock.Now().Add(3 * time.Minute).Unix()}
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func toJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

const goodHeader = `{"alg":"RS256","typ":"JWT"}`

// signRaw makes a JWT of any header and payload, signed as RS256.
func signRaw(header, payload string, key *rsa.PrivateKey) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + encode(signature)
}

func (f *fixture) jwt(changes claims) string {
	return signRaw(goodHeader, string(toJSON(f.claims(changes))), f.key.rsa)
}

func (f *fixture) form(jwt string) url.Values {
	return url.Values{"client_id": {f.App.ClientID}, "client_secret": {f.App.ClientSecret}, "jwt_token": {jwt}}
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(request *http.Request) (reply, error) {
	response, err := f.HTTPClient().Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body)}, err
}

func (f *fixture) exchangeRequest(ctx context.Context, form url.Values) *http.Request {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL()+exchangePath, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request
}

func (f *fixture) tryExchange() (reply, error) {
	return f.do(f.exchangeRequest(f.t.Context(), f.form(f.jwt(nil))))
}

// token does an exchange that has to work.
func (f *fixture) token() string {
	f.t.Helper()
	got, err := f.tryExchange()
	fatal(f.t, err)
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK || body.AccessToken == "" {
		f.t.Fatalf("exchange: got %d %s", got.status, got.body)
	}
	return body.AccessToken
}

// call makes an API request with a session, or without one if token is empty.
func (f *fixture) call(method, path, token string) reply {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.URL()+path, nil)
	fatal(f.t, err)
	if token != "" {
		request.Header.Set("sessionID", token)
	}
	got, err := f.do(request)
	fatal(f.t, err)
	return got
}

const (
	logoutPath = "/attask/api/v22.0/logout"
	searchPath = "/attask/api/v22.0/user/search"
)

// wantStats compares the counters that are named and checks that no session is missing, once the calls of clients that have
// left are over, too.
func (f *fixture) wantStats(want Stats) {
	f.t.Helper()
	await.That(f.t, "the calls are over", func() bool { return f.Stats().CallsUnderWay == want.CallsUnderWay })
	got := f.Stats()
	if got.Started != got.LoggedOut+got.Expired+got.Alive+got.Undelivered {
		f.t.Errorf("the accounts do not balance: %+v", got)
	}
	got.Connections, got.Logouts, got.APICalls, got.PeakCalls = 0, 0, 0, 0
	if got != want {
		f.t.Errorf("stats\n got %+v\nwant %+v", got, want)
	}
}

func ecPublicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	fatal(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
