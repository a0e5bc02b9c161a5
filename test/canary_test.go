//go:build e2e

package test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// Whatever begins so is a secret that must not come out anywhere. echoMark begins a secret that was sent in a place
// of the wrong type: Vault's framework tells the one who sent it, but nobody else may learn it.
const (
	canaryMark = "CANARY-"
	echoMark   = "ECHOED-"
)

// secretPatterns are what a secret looks like that the tests cannot know beforehand.
var secretPatterns = map[string]*regexp.Regexp{
	"a JWT":                regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ`),
	"a PKCS#8 private key": regexp.MustCompile(`IBADANBgkqhkiG9w0BAQEFAASC`), // version 0 and rsaEncryption, as every RSA key has it
	"a PKCS#1 private key": regexp.MustCompile(`MII[A-Za-z0-9+/]{2,4}IBAAKC`),
	"a refresh token":      regexp.MustCompile(`"refresh_token" *:`),
}

// A leakDetector knows the secrets of a run and finds them in text.
type leakDetector struct {
	mu           sync.Mutex
	keyLines     map[string]bool
	accessTokens map[string]bool
	oddTokens    map[string]bool // access tokens of another form
	secrets      map[string]bool // client secrets that do not begin with canaryMark
}

// leaks are the secrets of this run.
var leaks = newLeakDetector()

func newLeakDetector() *leakDetector {
	return &leakDetector{keyLines: map[string]bool{}, accessTokens: map[string]bool{}, oddTokens: map[string]bool{}, secrets: map[string]bool{}}
}

// addClientSecret takes a client secret that the test did not choose.
func (d *leakDetector) addClientSecret(secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secrets[secret] = true
}

// addPrivateKey makes marks of the lines of a key's PEM body. Those that hold nothing but the modulus are left out:
// the certificate holds it too, and its lines could fall in the same places.
func (d *leakDetector) addPrivateKey(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var modulus []byte
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if private, ok := key.(*rsa.PrivateKey); ok {
				modulus = private.N.Bytes()
				d.keyLines[private.D.String()] = true // as Go prints it
			}
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		content, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(line) < 20 || bytes.Contains(modulus, content) {
			continue
		}
		d.keyLines[line] = true
	}
}

// addAccessTokens takes the token out of the answer to a token read.
func (d *leakDetector) addAccessTokens(body []byte) {
	var answer struct {
		Data struct {
			AccessToken string `json:"access_token"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Data.AccessToken == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if token := answer.Data.AccessToken; isID.MatchString(token) {
		d.accessTokens[token] = true
	} else {
		d.oddTokens[token] = true
	}
}

// isID matches what workfronttest.NewID makes.
var isID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// find tells which kinds of secret a text holds. It never repeats them.
func (d *leakDetector) find(text []byte, mayHoldToken, mayEcho bool) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []string
	report := func(kind string, is bool) {
		if is {
			found = append(found, kind)
		}
	}
	report("a client secret", bytes.Contains(text, []byte(canaryMark)) || containsAny(text, d.secrets))
	report("a secret sent with the wrong type", !mayEcho && bytes.Contains(text, []byte(echoMark)))
	for kind, pattern := range secretPatterns {
		report(kind, pattern.Match(text))
	}
	report("a line of a private key", containsAny(text, d.keyLines))
	report("an access token", !mayHoldToken && d.holdsAccessToken(text))
	return found
}

// tokenLength is how many hexadecimal digits an access token of the stand-in has.
const tokenLength = 32

// holdsAccessToken looks up whatever could be a token. To search the text for each token would take minutes where thousands
// were read.
func (d *leakDetector) holdsAccessToken(text []byte) bool {
	digits := 0
	for i, c := range text {
		if digits++; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			digits = 0
		}
		if digits >= tokenLength && d.accessTokens[string(text[i+1-tokenLength:i+1])] {
			return true
		}
	}
	return containsAny(text, d.oddTokens)
}

func containsAny(text []byte, marks map[string]bool) bool {
	for mark := range marks {
		if bytes.Contains(text, []byte(mark)) {
			return true
		}
	}
	return false
}

// record is what one HTTP request to Vault brought: an answer, or an error.
type record struct {
	request string
	status  int
	text    []byte // headers and body, or the error
	token   bool   // the answer to a token read
}

var records struct {
	sync.Mutex
	all []record
}

// recorder keeps every answer and error of Vault's.
type recorder struct{ next http.RoundTripper }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	entry := record{request: req.Method + " " + req.URL.Path}
	entry.token = req.Method == http.MethodGet && tokenRead.MatchString(req.URL.Path) || req.URL.Path == "/v1/sys/wrapping/unwrap"
	defer func() {
		records.Lock()
		defer records.Unlock()
		records.all = append(records.all, entry)
	}()
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		entry.text = []byte(err.Error())
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		entry.text = []byte(err.Error())
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	entry.status, entry.text = resp.StatusCode, fmt.Appendf(nil, "%v\n%s", resp.Header, body)
	if entry.token {
		leaks.addAccessTokens(body)
	}
	return resp, nil
}

// tokenRead is the path of a token, with or without a role. Those of Vault's own tokens have two segments before.
var tokenRead = regexp.MustCompile(`^/v1/[^/]+/token(/[^/]+)?$`)

// searchEverything looks for the secrets of the run in all that Vault and the plugin have said: it runs when every
// server has ended, so that nothing is said any more.
func searchEverything() []error {
	vaults.Lock()
	servers := vaults.all
	vaults.Unlock()
	if len(servers) == 0 {
		return nil // no test of those chosen needed one
	}
	var problems []error
	search := func(source string, text []byte, mayHoldToken, mayEcho bool) {
		for _, kind := range leaks.find(text, mayHoldToken, mayEcho) {
			problems = append(problems, fmt.Errorf("canary: %s occurs in %s", kind, source))
		}
	}
	logged, audited, answered := 0, 0, 0
	for _, v := range servers {
		for file, size := range map[string]*int{v.LogFile(): &logged, v.AuditFile(): &audited} {
			text, err := os.ReadFile(file)
			if err != nil {
				problems = append(problems, fmt.Errorf("canary: %w", err))
			}
			*size += len(text)
			search(file, text, false, false)
			if bytes.Contains(text, []byte("panic: ")) || bytes.Contains(text, []byte("fatal error: ")) {
				problems = append(problems, fmt.Errorf("something crashed: see %s", file))
			}
		}
	}
	records.Lock()
	defer records.Unlock()
	for _, r := range records.all {
		answered += len(r.text)
		search(fmt.Sprintf("the answer to %s (%d)", r.request, r.status), r.text, r.token, r.status == http.StatusBadRequest)
	}
	if logged == 0 || audited == 0 || answered == 0 {
		problems = append(problems, errors.New("canary: there was nothing to search, so nothing was proved"))
	}
	verdict := "none was found"
	if len(problems) > 0 {
		verdict = fmt.Sprintf("%d PROBLEMS", len(problems))
	}
	fmt.Printf("canary: searched %d bytes of %d servers' trace logs, %d bytes of audit logs and %d answers and errors (%d bytes) for "+
		"client secrets, %d marks of private keys, %d access tokens, JWTs and refresh tokens: %s\n",
		logged, len(servers), audited, len(records.all), answered, len(leaks.keyLines), len(leaks.accessTokens)+len(leaks.oddTokens), verdict)
	return problems
}

// TestCanaryCanFail plants each kind of secret, in the forms that a log or an answer would give it.
func TestCanaryCanFail(t *testing.T) {
	t.Parallel()
	key := opensslKey(t)
	token := workfronttest.NewID()
	d := newLeakDetector()
	d.addPrivateKey(key.private)
	other := workfronttest.NewID()
	d.addClientSecret(other)
	d.addAccessTokens(fmt.Appendf(nil, `{"data":{"access_token":%q}}`, token))
	d.addAccessTokens([]byte(`{"data":{"access_token":"an odd one"}}`))
	inJSON, err := json.Marshal(key.private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := openssl(t, "rsa", "-in", key.privateFile, "-traditional")
	lines := strings.Split(strings.TrimSpace(key.private), "\n")
	for name, text := range map[string]string{
		"client secret":          "client_secret=" + canaryMark + token,
		"client secret in JSON":  `{"client_secret":"` + canaryMark + `1"}`,
		"another client secret":  "client_secret=" + other,
		"secret of a wrong type": `error converting map[a:` + echoMark + `1]`,
		"private key":            key.private,
		"private key in JSON":    string(inJSON),
		"one line of the key":    "value: " + lines[len(lines)/2],
		"another key, PKCS#1":    pkcs1,
		"JWT":                    `jwt_token=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln`,
		"refresh token":          `{"refresh_token": "` + workfronttest.NewID() + `"}`,
		"access token":           "lease of " + token + " was revoked",
		"access token among hex": "0123456789abcdef" + token + "0",
		"odd access token":       "lease of an odd one was revoked",
	} {
		text = "2026-01-01T00:00:00.000Z [DEBUG] secrets.workfront: " + text + "\n"
		if got := d.find([]byte(text), false, false); len(got) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	clean := "2026-01-01T00:00:00.000Z [TRACE] core: client_secret=hmac-sha256:ab12 access_token=hmac-sha256:cd34\n" + key.certificate
	if got := d.find([]byte(clean), false, false); len(got) != 0 {
		t.Errorf("clean text: found %q", got)
	}
	if got := d.find([]byte(token), true, false); len(got) != 0 {
		t.Errorf("token where it belongs: found %q", got)
	}
}
