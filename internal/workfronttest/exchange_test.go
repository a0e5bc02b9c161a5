package workfronttest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExchange(t *testing.T) {
	f := newFixture(t, Options{SessionTTL: 20 * time.Minute})
	got, err := f.tryExchange()
	fatal(t, err)
	if got.status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
	if got, want := got.header.Get("Content-Type"), "application/json;charset=UTF-8"; got != want {
		t.Errorf("content type: got %q, want %q", got, want)
	}
	var body map[string]any
	fatal(t, json.Unmarshal([]byte(got.body), &body))
	if body["token_type"] != "sessionID" || body["expires_in"] != 1200.0 {
		t.Errorf("got %v", body)
	}
	for _, name := range []string{"access_token", "refresh_token", "wid"} {
		if value, _ := body[name].(string); len(value) != 32 {
			t.Errorf("%s: got %v, want 32 digits", name, body[name])
		}
	}
	if token := body["access_token"].(string); !f.SessionAlive(token) {
		t.Error("the session is not alive")
	}
	f.wantStats(Stats{Exchanges: 1, Started: 1, Alive: 1})
}

func TestExchangeAccepts(t *testing.T) {
	f := newFixture(t, Options{})
	now := f.clock.Now()
	tests := map[string]string{
		"iat":                 f.jwt(claims{"iat": now.Unix()}),
		"iat of a fast clock": f.jwt(claims{"iat": now.Add(20 * time.Second).Unix()}),
		"no typ":              signRaw(`{"alg":"RS256"}`, string(toJSON(f.claims(nil))), f.key.rsa),
		"longest life":        f.jwt(claims{"exp": now.Add(maxAssertionLife).Unix()}),
		"one second left":     f.jwt(claims{"exp": now.Unix() + 1}),
		"exp with a fraction": f.jwt(claims{"exp": float64(now.Unix()) + 60.5}),
	}
	for name, jwt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := f.do(f.exchangeRequest(t.Context(), f.form(jwt)))
			fatal(t, err)
			if got.status != http.StatusOK {
				t.Errorf("got %d %s: %s", got.status, got.body, f.lastRefusal())
			}
		})
	}
}

func (f *fixture) lastRefusal() string {
	requests := f.Requests()
	return requests[len(requests)-1].Refusal
}

// A JWT that openssl signed, as a shell script would do it.
func TestExchangeOfOpenSSLSignature(t *testing.T) {
	f := newFixture(t, Options{})
	fatal(t, f.RemovePublicKey(f.App.ClientID, f.fingerprint))
	_, err := f.AddPublicKey(f.App.ClientID, f.User.ID, f.key.public)
	fatal(t, err)
	keyFile := filepath.Join(t.TempDir(), "private.key")
	fatal(t, os.WriteFile(keyFile, []byte(f.key.private), 0o600))
	input := encode([]byte(goodHeader)) + "." + encode(toJSON(f.claims(nil)))
	command := exec.Command("openssl", "dgst", "-sha256", "-sign", keyFile)
	command.Stdin = strings.NewReader(input)
	signature, err := command.Output()
	fatal(t, err)
	got, err := f.do(f.exchangeRequest(t.Context(), f.form(input+"."+encode(signature))))
	fatal(t, err)
	if got.status != http.StatusOK {
		t.Errorf("got %d %s: %s", got.status, got.body, f.lastRefusal())
	}
}

// Refusals of credentials, JWT and user differ in nothing but the reason that no client sees.
func TestExchangeRefusesCredentials(t *testing.T) {
	f := newFixture(t, Options{})
	now := f.clock.Now()
	other := otherKey()
	fatal(t, other.err)
	_, err := f.AddPublicKey(f.App.ClientID, f.colleague, other.public)
	fatal(t, err)
	rival, err := f.CreateApplication() // the user's key is not in it
	fatal(t, err)
	removed, err := f.AddSecret(f.App.ClientID)
	fatal(t, err)
	fatal(t, f.RemoveSecret(f.App.ClientID, removed))

	payload := string(toJSON(f.claims(nil)))
	good := f.jwt(nil)
	parts := strings.Split(good, ".")
	signed := func(alg string, sign func(input []byte) []byte) string {
		input := encode([]byte(`{"alg":"`+alg+`","typ":"JWT"}`)) + "." + encode([]byte(payload))
		return input + "." + encode(sign([]byte(input)))
	}
	withHeader := func(header string) url.Values { return f.form(signRaw(header, payload, f.key.rsa)) }
	withPayload := func(payload string) url.Values { return f.form(signRaw(goodHeader, payload, f.key.rsa)) }
	withClaims := func(c claims) url.Values { return f.form(f.jwt(c)) }
	with := func(name, value string) url.Values {
		form := f.form(good)
		form.Set(name, value)
		return form
	}
	ofRival := func(jwt string) url.Values {
		return url.Values{"client_id": {rival.ClientID}, "client_secret": {rival.ClientSecret}, "jwt_token": {jwt}}
	}
	const badSignature = "not signed by a key that the user added to the application"
	tests := []struct {
		name   string
		form   url.Values
		reason string
	}{
		{"unknown client", with("client_id", NewID()), "unknown client"},
		{"customer id as client id", with("client_id", f.App.CustomerID), "unknown client"},
		{"wrong secret", with("client_secret", NewID()), "wrong client secret"},
		{"removed secret", with("client_secret", removed), "wrong client secret"},
		{"secret of another application", with("client_secret", rival.ClientSecret), "wrong client secret"},

		{"not a JWT", f.form("nonsense"), "jwt: 1 parts, not 3"},
		{"no signature part", f.form(parts[0] + "." + parts[1]), "jwt: 2 parts, not 3"},
		{"five parts", f.form(good + ".a.b"), "jwt: 5 parts, not 3"},
		{"padded", f.form(parts[0] + "." + parts[1] + "." + parts[2] + "=="), "jwt: part 3 is not unpadded base64url"},
		{"line break", f.form(parts[0] + "\n." + parts[1] + "." + parts[2]), "jwt: part 1 is not unpadded base64url"},
		{"empty signature", f.form(parts[0] + "." + parts[1] + "."), badSignature},
		{"signature of another JWT", f.form(parts[0] + "." + parts[1] + "." + strings.Split(f.jwt(claims{"iat": 1}), ".")[2]), badSignature},

		{"alg none", f.form(signed("none", func([]byte) []byte { return nil })), "jwt header: alg is not RS256"},
		{"HS256 keyed with the public key", f.form(signed("HS256", func(in []byte) []byte {
			mac := hmac.New(sha256.New, []byte(f.key.certificate))
			mac.Write(in)
			return mac.Sum(nil)
		})), "jwt header: alg is not RS256"},
		{"RS512", f.form(signed("RS512", func(in []byte) []byte {
			digest := sha512.Sum512(in)
			return must(rsa.SignPKCS1v15(rand.Reader, f.key.rsa, crypto.SHA512, digest[:]))
		})), "jwt header: alg is not RS256"},
		{"PS256", f.form(signed("PS256", func(in []byte) []byte {
			digest := sha256.Sum256(in)
			return must(rsa.SignPSS(rand.Reader, f.key.rsa, crypto.SHA256, digest[:], nil))
		})), "jwt header: alg is not RS256"},
		{"SHA-512 called RS256", f.form(signed("RS256", func(in []byte) []byte {
			digest := sha512.Sum512(in)
			return must(rsa.SignPKCS1v15(rand.Reader, f.key.rsa, crypto.SHA512, digest[:]))
		})), badSignature},
		{"PSS called RS256", f.form(signed("RS256", func(in []byte) []byte {
			digest := sha256.Sum256(in)
			return must(rsa.SignPSS(rand.Reader, f.key.rsa, crypto.SHA256, digest[:], nil))
		})), badSignature},
		{"alg in lower case", withHeader(`{"alg":"rs256"}`), "jwt header: alg is not RS256"},
		{"no alg", withHeader(`{"typ":"JWT"}`), "jwt header: alg is missing"},
		{"alg of another case", withHeader(`{"ALG":"RS256"}`), "jwt header: alg is missing"},
		{"two algs", withHeader(`{"alg":"RS256","alg":"RS256"}`), "jwt header: duplicate member"},
		{"other typ", withHeader(`{"alg":"RS256","typ":"at+jwt"}`), "jwt header: typ is not JWT"},
		{"typ no string", withHeader(`{"alg":"RS256","typ":1}`), "jwt header: typ is not a non-empty string"},
		{"crit", withHeader(`{"alg":"RS256","crit":["b64"],"b64":true}`), "jwt header: unknown member"},
		{"header no object", withHeader(`["RS256"]`), "jwt header: not a JSON object"},
		{"header not UTF-8", withHeader("{\"alg\":\"\xff\"}"), "jwt header: not UTF-8"},

		{"no iss", withClaims(claims{"iss": nil}), "jwt claims: iss is missing"},
		{"no sub", withClaims(claims{"sub": nil}), "jwt claims: sub is missing"},
		{"no exp", withClaims(claims{"exp": nil}), "jwt claims: exp is missing"},
		{"aud", withClaims(claims{"aud": "workfront"}), "jwt claims: unknown member"},
		{"nbf", withClaims(claims{"nbf": now.Unix()}), "jwt claims: unknown member"},
		{"client id as iss", withClaims(claims{"iss": f.App.ClientID}), "iss is not the customer id"},
		{"customer of another application", withClaims(claims{"iss": rival.CustomerID}), "iss is not the customer id"},
		{"empty iss", withClaims(claims{"iss": ""}), "jwt claims: iss is not a non-empty string"},
		{"sub a number", withClaims(claims{"sub": 7}), "jwt claims: sub is not a non-empty string"},
		{"exp a string", withClaims(claims{"exp": "1999999999"}), "jwt claims: exp is not a number"},
		{"exp null", withPayload(`{"iss":"a","sub":"b","exp":null}`), "jwt claims: exp is not a number"},
		{"exp now", withClaims(claims{"exp": now.Unix()}), "jwt claims: exp has passed"},
		{"exp too far ahead", withClaims(claims{"exp": now.Add(maxAssertionLife + clockSkew + time.Second).Unix()}), "jwt claims: exp is too far ahead"},
		{"exp in milliseconds", withClaims(claims{"exp": now.Add(time.Minute).UnixMilli()}), "jwt claims: exp is too far ahead"},
		{"iat in the future", withClaims(claims{"iat": now.Add(clockSkew + time.Second).Unix()}), "jwt claims: iat is in the future"},
		{"iat not before exp", withClaims(claims{"iat": now.Unix() + 10, "exp": now.Unix() + 10}), "jwt claims: iat is not before exp"},
		{"iat a string", withClaims(claims{"iat": "now"}), "jwt claims: iat is not a number"},
		{"two subs", withPayload(strings.Replace(payload, "{", `{"sub":"`+f.User.ID+`",`, 1)), "jwt claims: duplicate member"},
		{"broken value", withPayload(`{"iss":}`), "jwt claims: malformed JSON"},
		{"broken name", withPayload(`{iss:1}`), "jwt claims: malformed JSON"},
		{"cut short", withPayload(`{"iss":"a"`), "jwt claims: malformed JSON"},
		{"something after", withPayload(payload + "{}"), "jwt claims: something follows the JSON object"},

		{"unknown user", withClaims(claims{"sub": NewID()}), "sub is no user"},
		{"another user's key", withClaims(claims{"sub": f.colleague}), badSignature},
		{"key of another user", f.form(signRaw(goodHeader, payload, other.rsa)), badSignature},
		{"key of no application", ofRival(f.jwt(claims{"iss": rival.CustomerID})), badSignature},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := f.do(f.exchangeRequest(t.Context(), test.form))
			fatal(t, err)
			if got.status != 401 || got.body != `{"statusCode":401,"error":true,"type":"Unauthorized","message":"refused"}` {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if got.header.Get("Content-Type") != jsonType || len(got.header) != 3 {
				t.Errorf("headers: got %v, want Content-Type, Content-Length and Date", got.header)
			}
			if got := f.lastRefusal(); got != test.reason {
				t.Errorf("reason: got %q, want %q", got, test.reason)
			}
		})
	}
	f.wantStats(Stats{Exchanges: len(tests), Refused: len(tests)})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestExchangeRefusesStructure(t *testing.T) {
	f := newFixture(t, Options{})
	good := f.form(f.jwt(nil)).Encode()
	const formType = "application/x-www-form-urlencoded"
	tests := []struct {
		name, method, query, contentType, body string
		status                                 int
		message                                string
	}{
		{"GET", "GET", "", formType, "", 405, "the method is not POST"},
		{"GET with all in the query", "GET", "?" + good, "", "", 405, "the method is not POST"},
		{"PUT", "PUT", "", formType, good, 405, "the method is not POST"},
		{"JSON", "POST", "", "application/json", good, 415, "the content type is not application/x-www-form-urlencoded"},
		{"multipart", "POST", "", "multipart/form-data; boundary=x", good, 415, "the content type is not application/x-www-form-urlencoded"},
		{"no content type", "POST", "", "", good, 415, "the content type is not application/x-www-form-urlencoded"},
		{"all in the query", "POST", "?" + good, formType, "", 400, "there are parameters in the query"},
		{"one in the query too", "POST", "?client_id=" + f.App.ClientID, formType, good, 400, "there are parameters in the query"},
		{"no body", "POST", "", formType, "", 400, "client_id is missing"},
		{"bad escape", "POST", "", formType, "%zz", 400, "the body is malformed"},
		{"no client id", "POST", "", formType, "client_secret=a&jwt_token=b", 400, "client_id is missing"},
		{"no secret", "POST", "", formType, "client_id=a&jwt_token=b", 400, "client_secret is missing"},
		{"no jwt", "POST", "", formType, "client_id=a&client_secret=b", 400, "jwt_token is missing"},
		{"empty secret", "POST", "", formType, "client_id=a&client_secret=&jwt_token=b", 400, "client_secret is missing"},
		{"client id twice", "POST", "", formType, good + "&client_id=" + f.App.ClientID, 400, "client_id is given more than once"},
		{"jwt twice", "POST", "", formType, good + "&jwt_token=a", 400, "jwt_token is given more than once"},
		{"grant type", "POST", "", formType, good + "&grant_type=jwt", 400, "there is an unknown parameter"},
		{"too large", "POST", "", formType, good + "&a=" + strings.Repeat("a", maxBody), 413, "the request is too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), test.method, f.URL()+exchangePath+test.query, strings.NewReader(test.body))
			fatal(t, err)
			if test.contentType != "" {
				request.Header.Set("Content-Type", test.contentType)
			}
			got, err := f.do(request)
			fatal(t, err)
			want := fmt.Sprintf(`{"statusCode":%d,"error":true,"type":%q,"message":%q}`,
				test.status, strings.ReplaceAll(http.StatusText(test.status), " ", ""), test.message)
			if got.status != test.status || got.body != want {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, test.status, want)
			}
			if allow := got.header.Get("Allow"); (allow == "POST") != (test.status == 405) {
				t.Errorf("Allow: got %q", allow)
			}
		})
	}
	f.wantStats(Stats{Exchanges: len(tests), Refused: len(tests)})
}

func TestContentTypeMayHaveParameters(t *testing.T) {
	f := newFixture(t, Options{})
	request := f.exchangeRequest(t.Context(), f.form(f.jwt(nil)))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	got, err := f.do(request)
	fatal(t, err)
	if got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRotation(t *testing.T) {
	f := newFixture(t, Options{})
	old := f.App.ClientSecret
	second, err := f.AddSecret(f.App.ClientID)
	fatal(t, err)
	for _, secret := range []string{old, second} {
		f.App.ClientSecret = secret
		f.token()
	}
	fatal(t, f.RemoveSecret(f.App.ClientID, old))
	f.token()
	before := f.jwt(nil)
	next := otherKey()
	fatal(t, next.err)
	_, err = f.AddPublicKey(f.App.ClientID, f.User.ID, next.certificate)
	fatal(t, err)
	f.token()
	fatal(t, f.RemovePublicKey(f.App.ClientID, f.fingerprint))
	if got, err := f.do(f.exchangeRequest(t.Context(), f.form(before))); err != nil || got.status != refusalStatus {
		t.Errorf("with the removed key: got %d, %v", got.status, err)
	}
	f.key = next
	f.token()
}

func TestRequests(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	f.call("GET", searchPath+"?fields=name", token)
	f.call("GET", "/favicon.ico", "")
	got := f.Requests()
	if len(got) != 3 {
		t.Fatalf("got %d requests, want 3", len(got))
	}
	exchange, search, unknown := got[0], got[1], got[2]
	if exchange.Endpoint != EndpointExchange || exchange.Method != "POST" || exchange.Path != exchangePath || exchange.Status != 200 ||
		exchange.RemoteAddr == "" || !exchange.Time.Equal(f.clock.Now()) ||
		!slices.Equal(exchange.FormFields, []string{"client_id", "client_secret", "jwt_token"}) {
		t.Errorf("exchange: got %+v", exchange)
	}
	if search.Endpoint != EndpointAPI || search.Path != searchPath || search.Header.Get("sessionID") != token ||
		!slices.Equal(search.QueryFields, []string{"fields"}) || search.RemoteAddr != exchange.RemoteAddr {
		t.Errorf("search: got %+v", search)
	}
	if unknown.Endpoint != "" || unknown.Status != 404 || unknown.Refusal != "unknown path" {
		t.Errorf("unknown path: got %+v", unknown)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	f := newFixture(t, Options{})
	request := f.exchangeRequest(t.Context(), nil)
	for range 2*maxRequests + 1 {
		f.record(&call{Request: request, endpoint: EndpointExchange})
	}
	if got := len(f.Requests()); got != maxRequests {
		t.Errorf("got %d, want %d", got, maxRequests)
	}
	if got := len(f.requests); got != maxRequests+1 {
		t.Errorf("kept %d, want %d", got, maxRequests+1)
	}
}
