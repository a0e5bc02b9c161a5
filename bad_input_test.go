package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
)

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// openssl runs a command of OpenSSL's, which the tests need, and returns what it writes to -out.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out.pem")
	if out, err := exec.CommandContext(t.Context(), "openssl", append(args, "-out", file)...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Rule: bad input gets a 400 that names the field, says what is wrong and what to do; nothing is stored in part.
func TestBadInput(t *testing.T) {
	const update, patch, read = logical.UpdateOperation, logical.PatchOperation, logical.ReadOperation
	long := func(n int) string { return strings.Repeat("x", n) }
	private := testKeyPEM(t)
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "other", Now: time.Now(), TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	public, err := testKey().PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	certificate := testKey().CertificatePEM()
	encrypted := openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-aes256", "-pass", "pass:secret")

	config := func(field string, value any) map[string]any { return map[string]any{field: value} }
	key := func(text string) map[string]any { return map[string]any{settings.FieldPrivateKey: text} }
	withCertificate := func(text string) map[string]any {
		return map[string]any{settings.FieldPrivateKey: private, settings.FieldCertificate: text}
	}
	tests := []struct {
		name string
		op   logical.Operation
		path string
		data map[string]any
		want []string
	}{
		// config: text
		{"base_url empty", update, "config", config(settings.FieldBaseURL, ""), []string{"base_url", "must not be empty"}},
		{"base_url null", patch, "config", config(settings.FieldBaseURL, nil), []string{"base_url", "must not be empty"}},
		{"base_url null in an update", update, "config", config(settings.FieldBaseURL, nil), []string{"base_url", "null", "vault patch"}},
		{"base_url http", update, "config", config(settings.FieldBaseURL, "http://acme.my.workfront.com"), []string{"base_url", "https://"}},
		{"base_url with a path", update, "config", config(settings.FieldBaseURL, "https://acme.my.workfront.com/attask"), []string{"base_url", "path"}},
		{"base_url elsewhere", patch, "config", config(settings.FieldBaseURL, "https://workfront.com.evil.example"), []string{"base_url", "allow_custom_host"}},
		{"base_url with a port", patch, "config", config(settings.FieldBaseURL, "https://acme.my.workfront.com:8443"), []string{"base_url", "port"}},
		{"base_url with a query", update, "config", config(settings.FieldBaseURL, "https://acme.my.workfront.com?a=b"), []string{"base_url", "query"}},
		{"base_url with a user", update, "config", config(settings.FieldBaseURL, "https://me:pw@acme.my.workfront.com"), []string{"base_url", "user name"}},
		{"base_url without a host", update, "config", config(settings.FieldBaseURL, "https://"), []string{"base_url", "host"}},
		{"base_url with a port out of range", update, "config", config(settings.FieldBaseURL, "https://acme.my.workfront.com:70000"), []string{"base_url"}},
		{"base_url of a look-alike", update, "config", config(settings.FieldBaseURL, "https://evilworkfront.com"), []string{"base_url", "allow_custom_host"}},
		{"customer_id between spaces", update, "config", config(settings.FieldCustomerID, " abc "), []string{"customer_id", "space"}},
		{"base_url a map", update, "config", config(settings.FieldBaseURL, map[string]any{"a": 1}), []string{"base_url", "must be text"}},
		{"base_url too long", update, "config", config(settings.FieldBaseURL, "https://"+long(300)), []string{"base_url", "256"}},
		{"client_id empty", update, "config", config(settings.FieldClientID, ""), []string{"client_id", "must not be empty"}},
		{"client_id too long", update, "config", config(settings.FieldClientID, long(257)), []string{"client_id", "256"}},
		{"client_id a list", update, "config", config(settings.FieldClientID, []any{"a", "b"}), []string{"client_id", "must be text"}},
		{"client_id with a line break", update, "config", config(settings.FieldClientID, "a\r\nHost: evil"), []string{"client_id", "line break"}},
		{"client_id not UTF-8", update, "config", config(settings.FieldClientID, "a\xff"), []string{"client_id", "UTF-8"}},
		{"client_secret empty", update, "config", config(settings.FieldClientSecret, ""), []string{"client_secret", "must not be empty"}},
		{"client_secret null", patch, "config", config(settings.FieldClientSecret, nil), []string{"client_secret", "must not be empty"}},
		{"client_secret too long", update, "config", config(settings.FieldClientSecret, long(4097)), []string{"client_secret", "4096"}},
		{"client_secret with the line end of a file", update, "config", config(settings.FieldClientSecret, "secret\n"), []string{"client_secret", "@file"}},
		{"client_secret with a space behind", update, "config", config(settings.FieldClientSecret, "secret "), []string{"client_secret", "space"}},
		{"client_secret a map", update, "config", config(settings.FieldClientSecret, map[string]any{"a": 1}), []string{"client_secret", "must be text"}},
		{"customer_id empty", update, "config", config(settings.FieldCustomerID, ""), []string{"customer_id", "must not be empty"}},
		{"customer_id too long", update, "config", config(settings.FieldCustomerID, long(257)), []string{"customer_id", "256"}},
		{"user_id too long", update, "config", config(settings.FieldUserID, long(257)), []string{"user_id", "256"}},
		{"user_id with a control character", update, "config", config(settings.FieldUserID, "a\x00b"), []string{"user_id", "null character"}},
		{"key with a slash", update, "config", config(settings.FieldKey, "a/b"), []string{"key", "letters"}},
		{"key with two dots", update, "config", config(settings.FieldKey, "a..b"), []string{"key", "letters"}},
		{"key too long", update, "config", config(settings.FieldKey, long(64)), []string{"key", "63"}},
		{"api_version without v", update, "config", config(settings.FieldAPIVersion, "22.0"), []string{"api_version", "v22.0"}},
		{"api_version a path", update, "config", config(settings.FieldAPIVersion, "v22.0/../x"), []string{"api_version", "v22.0"}},
		{"ca_cert no PEM", update, "config", config(settings.FieldCACert, "nonsense"), []string{"ca_cert", "BEGIN CERTIFICATE"}},
		{"ca_cert a key", update, "config", config(settings.FieldCACert, private), []string{"ca_cert", "a private key as PEM block 1"}},
		{"ca_cert too long", update, "config", config(settings.FieldCACert, long(64<<10+1)), []string{"ca_cert", "64 KiB"}},
		// config: durations, numbers, booleans
		{"ttl no duration", update, "config", config(settings.FieldTTL, "soon"), []string{"ttl", "write it like"}},
		{"ttl below a second", update, "config", config(settings.FieldTTL, "500ms"), []string{"ttl", "whole number of seconds"}},
		{"ttl with a fraction", update, "config", config(settings.FieldTTL, 1.5), []string{"ttl", "whole number of seconds"}},
		{"ttl with a fraction, text", update, "config", config(settings.FieldTTL, "1.5s"), []string{"ttl", "whole number of seconds"}},
		{"ttl negative", update, "config", config(settings.FieldTTL, "-5m"), []string{"ttl", "negative"}},
		{"ttl negative below a second", update, "config", config(settings.FieldTTL, "-500ms"), []string{"ttl", "negative"}},
		{"ttl absurd", update, "config", config(settings.FieldTTL, "100000h"), []string{"ttl", "ten years"}},
		{"ttl overflowing", update, "config", config(settings.FieldTTL, json.Number("99999999999999999")), []string{"ttl", "write it like"}},
		{"ttl a map", update, "config", config(settings.FieldTTL, map[string]any{}), []string{"ttl", "write it like"}},
		{"max_ttl no duration", update, "config", config(settings.FieldMaxTTL, "x"), []string{"max_ttl", "write it like"}},
		{"max_ttl below a second", update, "config", config(settings.FieldMaxTTL, "1ms"), []string{"max_ttl", "whole number of seconds"}},
		{"jwt_ttl too small", update, "config", config(settings.FieldJWTTTL, "29s"), []string{"jwt_ttl", "30s and 10m"}},
		{"jwt_ttl zero", update, "config", config(settings.FieldJWTTTL, 0), []string{"jwt_ttl", "30s and 10m"}},
		{"jwt_ttl too large", update, "config", config(settings.FieldJWTTTL, "11m"), []string{"jwt_ttl", "30s and 10m"}},
		{"session_ttl too small", update, "config", config(settings.FieldSessionTTL, "9s"), []string{"session_ttl", "10s"}},
		{"session_ttl too large", update, "config", config(settings.FieldSessionTTL, "769h"), []string{"session_ttl", "768h"}},
		{"request_timeout too small", update, "config", config(settings.FieldRequestTimeout, 0), []string{"request_timeout", "1s and 1m"}},
		{"request_timeout too large", update, "config", config(settings.FieldRequestTimeout, "61s"), []string{"request_timeout", "1s and 1m"}},
		{"max_retries negative", update, "config", config(settings.FieldMaxRetries, -1), []string{"max_retries", "0 and 5"}},
		{"max_retries too large", update, "config", config(settings.FieldMaxRetries, 6), []string{"max_retries", "0 and 5"}},
		{"max_connections too small", update, "config", config(settings.FieldMaxConnections, 1), []string{"max_connections", "2 and 64"}},
		{"max_connections too large", update, "config", config(settings.FieldMaxConnections, 65), []string{"max_connections", "2 and 64"}},
		{"max_retries no number", update, "config", config(settings.FieldMaxRetries, "many"), []string{"max_retries", "whole number"}},
		{"allow_custom_host no bool", update, "config", config(settings.FieldAllowCustomHost, "perhaps"), []string{"allow_custom_host", "true or false"}},
		// config: contradictions
		{"ttl longer than max_ttl", update, "config", map[string]any{settings.FieldTTL: "2h", settings.FieldMaxTTL: "1h"}, []string{"ttl", "max_ttl"}},
		{"jwt_ttl shorter than request_timeout", update, "config", map[string]any{settings.FieldJWTTTL: "30s", settings.FieldRequestTimeout: "31s"}, []string{"jwt_ttl", "request_timeout"}},
		{"allow_custom_host withdrawn", update, "config", map[string]any{
			settings.FieldBaseURL: "https://gateway.example", settings.FieldAllowCustomHost: false, settings.FieldClientSecret: "s",
		}, []string{"base_url", "allow_custom_host"}},
		// keys: names
		{"name with two dots", update, "keys/a..b/generate", nil, []string{"name", "letters"}},
		{"name with a dot in front", update, "keys/.a/generate", nil, []string{"name", "letters"}},
		{"name with a space", update, "keys/a b/generate", nil, []string{"name", "letters"}},
		{"name in Cyrillic", update, "keys/\u0430/import", key(private), []string{"name", "letters"}},
		{"name not UTF-8", update, "keys/\x8f/import", key(private), []string{"name", "letters"}},
		{"name too long", update, "keys/" + long(64) + "/generate", nil, []string{"name", "63"}},
		{"name read", read, "keys/a..b", nil, []string{"name", "letters"}},
		{"name deleted", logical.DeleteOperation, "keys/a..b", nil, []string{"name", "letters"}},
		// keys: generate
		{"key_bits too small", update, "keys/k/generate", config(settings.FieldKeyBits, 1024), []string{"key_bits", "2048"}},
		{"key_bits odd", update, "keys/k/generate", config(settings.FieldKeyBits, 2049), []string{"key_bits", "2048"}},
		{"key_bits too large", update, "keys/k/generate", config(settings.FieldKeyBits, 16384), []string{"key_bits", "4096"}},
		{"key_bits no number", update, "keys/k/generate", config(settings.FieldKeyBits, "big"), []string{"key_bits", "whole number"}},
		{"common_name too long", update, "keys/k/generate", config(settings.FieldCommonName, long(65)), []string{"common_name", "64"}},
		{"common_name with a line break", update, "keys/k/generate", config(settings.FieldCommonName, "a\nb"), []string{"common_name", "line break"}},
		{"certificate_ttl too small", update, "keys/k/generate", config(settings.FieldCertificateTTL, "59m"), []string{"certificate_ttl", "1h"}},
		{"certificate_ttl below a second", update, "keys/k/generate", config(settings.FieldCertificateTTL, "1ms"), []string{"certificate_ttl", "whole number of seconds"}},
		{"certificate_ttl too large", update, "keys/k/generate", config(settings.FieldCertificateTTL, "87601h"), []string{"certificate_ttl", "ten years"}},
		// keys: import
		{"private_key missing", update, "keys/k/import", nil, []string{"private_key", "required"}},
		{"private_key not PEM", update, "keys/k/import", key("nonsense"), []string{"private_key", "not PEM"}},
		{"private_key too long", update, "keys/k/import", key(long(64<<10 + 1)), []string{"private_key", "64 KiB"}},
		{"private_key a map", update, "keys/k/import", config(settings.FieldPrivateKey, map[string]any{"a": 1}), []string{"private_key", "must be text"}},
		{"private_key encrypted", update, "keys/k/import", key(encrypted), []string{"private_key", "encrypted", "openssl pkey"}},
		{"private_key of an elliptic curve", update, "keys/k/import", key(pkcs8(t, ec)), []string{"private_key", "elliptic curve", "RSA"}},
		{"private_key Ed25519", update, "keys/k/import", key(pkcs8(t, ed)), []string{"private_key", "Ed25519", "RSA"}},
		{"private_key RSA 1024", update, "keys/k/import", key(pkcs8(t, rsa1024)), []string{"private_key", "1024 bits", "2048"}},
		{"private_key is a certificate", update, "keys/k/import", key(certificate), []string{"private_key", "certificate"}},
		{"private_key is a public key", update, "keys/k/import", key(public), []string{"private_key", "public key"}},
		{"private_key twice", update, "keys/k/import", key(private + private), []string{"private_key", "more than one"}},
		{"certificate of another key", update, "keys/k/import", withCertificate(other.CertificatePEM()), []string{"certificate", "another key"}},
		{"certificate is a key", update, "keys/k/import", withCertificate(private), []string{"certificate", "BEGIN CERTIFICATE"}},
		{"certificate not PEM", update, "keys/k/import", withCertificate("nonsense"), []string{"certificate", "not PEM"}},
		{"certificate too long", update, "keys/k/import", withCertificate(long(64<<10 + 1)), []string{"certificate", "64 KiB"}},
		{"certificate and common_name", update, "keys/k/import", map[string]any{settings.FieldPrivateKey: private, settings.FieldCertificate: certificate, settings.FieldCommonName: "x"}, []string{"common_name", "leave one"}},
		{"certificate and certificate_ttl", update, "keys/k/import", map[string]any{settings.FieldPrivateKey: private, settings.FieldCertificate: certificate, settings.FieldCertificateTTL: "2h"}, []string{"certificate_ttl", "leave one"}},
		{"common_name too long", update, "keys/k/import", map[string]any{settings.FieldPrivateKey: private, settings.FieldCommonName: long(65)}, []string{"common_name", "64"}},
		// roles
		{"role with two dots", update, "roles/a..b", nil, []string{"name", "letters"}},
		{"role read", read, "roles/a..b", nil, []string{"name", "letters"}},
		{"role deleted", logical.DeleteOperation, "roles/a..b", nil, []string{"name", "letters"}},
		{"role name too long", update, "roles/" + long(64), nil, []string{"name", "63"}},
		{"user_id of a role too long", update, "roles/r", config(settings.FieldUserID, long(257)), []string{"user_id", "256"}},
		{"key of a role with a slash", update, "roles/r", config(settings.FieldKey, "a/b"), []string{"key", "letters"}},
		{"ttl of a role below a second", update, "roles/r", config(settings.FieldTTL, "500ms"), []string{"ttl", "whole number of seconds"}},
		{"max_ttl of a role no duration", update, "roles/r", config(settings.FieldMaxTTL, "x"), []string{"max_ttl"}},
		{"ttl of a role longer than its max_ttl", update, "roles/r", map[string]any{settings.FieldTTL: "2h", settings.FieldMaxTTL: "1h"}, []string{"ttl", "max_ttl"}},
		{"share_session of a role no bool", update, "roles/r", config(settings.FieldShareSession, "perhaps"), []string{"share_session"}},
		{"description too long", update, "roles/r", config(settings.FieldDescription, long(257)), []string{"description", "256"}},
		{"description that moves the cursor", update, "roles/r", config(settings.FieldDescription, "a\u009b2J"), []string{"description", "control character"}},
		{"description with a line separator", update, "roles/r", config(settings.FieldDescription, "a\u2028b"), []string{"description", "control character"}},
		{"description that turns text round", update, "roles/r", config(settings.FieldDescription, "a\u202eb"), []string{"description", "control character"}},
		{"description with a line break", update, "roles/r", config(settings.FieldDescription, "a\nb"), []string{"description", "line break"}},
		{"description null in an update", update, "roles/r", config(settings.FieldDescription, nil), []string{"description", "null"}},
		{"share_session no bool", update, "config", config(settings.FieldShareSession, "perhaps"), []string{"share_session"}},
		{"verify_connection no bool", update, "config", config(fieldVerify, "perhaps"), []string{"verify_connection"}},
		// check, sessions
		{"role of a check", update, "check", config(fieldRole, "a..b"), []string{"role", "letters"}},
		{"key of a check", update, "check", config(settings.FieldKey, "a/b"), []string{"key", "letters"}},
		{"session read", read, "sessions/a..b", nil, []string{"id", "letters"}},
		{"session deleted", logical.DeleteOperation, "sessions/a..b", nil, []string{"id", "letters"}},
		{"lookup of nothing", update, "sessions/lookup", nil, []string{"access_token", "required", "access_token=-"}},
		{"lookup of blanks", update, "sessions/lookup", config(fieldAccessToken, " \n"), []string{"access_token", "required"}},
		{"lookup of null", update, "sessions/lookup", config(fieldAccessToken, nil), []string{"access_token", "required"}},
		{"lookup of a header", update, "sessions/lookup", config(fieldAccessToken, "sessionID: x"), []string{"access_token", "white space"}},
		{"lookup of a whole log", update, "sessions/lookup", config(fieldAccessToken, long(64<<10+1)), []string{"access_token", "64 KiB"}},
		{"lookup of a map", update, "sessions/lookup", config(fieldAccessToken, map[string]any{"a": 1}), []string{"access_token", "must be text"}},
		{"lookup at no host", update, "sessions/lookup", map[string]any{fieldAccessToken: "x", settings.FieldBaseURL: "acme.my.workfront.com"}, []string{"base_url", "https://"}},
		{"lookup at a path", update, "sessions/lookup", map[string]any{fieldAccessToken: "x", settings.FieldBaseURL: "https://acme.my.workfront.com/attask"}, []string{"base_url", "path"}},
		// token
		{"token of a bad name", read, "token/a..b", nil, []string{"role", "letters"}},
		{"token of no role", read, "token/none", nil, []string{"role", `"none"`, "vault list workfront/roles"}},
		{"ttl of a token no duration", read, "token", config(settings.FieldTTL, "soon"), []string{"ttl", "write it like"}},
		{"ttl of a token zero", read, "token", config(settings.FieldTTL, "0"), []string{"ttl", "at least 1s"}},
		{"ttl of a token negative", read, "token", config(settings.FieldTTL, "-1m"), []string{"ttl", "negative"}},
		{"ttl of a token below a second", read, "token", config(settings.FieldTTL, "500ms"), []string{"ttl", "whole number of seconds"}},
	}
	m, w := ready(t, nil)
	m.must(logical.UpdateOperation, "config", map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldAllowCustomHost: false, settings.FieldClientSecret: "s", settings.FieldCACert: "",
	})
	before := m.storage.Keys(t)
	configBefore := asJSON(t, m.read("config"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			m.wantRefused(tt.op, tt.path, tt.data, tt.want...)
			if got, want := asJSON(t, m.storage.Keys(t)), asJSON(t, before); got != want {
				t.Errorf("storage: got %s, want %s as before", got, want)
			}
			if got := asJSON(t, m.read("config")); got != configBefore {
				t.Errorf("config: got %s, want %s as before", got, configBefore)
			}
		})
	}
	m.t = t
	if got := w.Stats().Exchanges; got != 0 {
		t.Errorf("exchanges: got %d, want none", got)
	}
}

func TestConfigNeedsAllOfTheConnection(t *testing.T) {
	m := newMount(t)
	whole := map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "c", settings.FieldClientSecret: "s", settings.FieldCustomerID: "cu",
	}
	for field := range whole {
		part := maps.Clone(whole)
		delete(part, field)
		m.wantRefused(logical.UpdateOperation, "config", part, field, "required")
	}
	if got := m.read("config"); got != nil {
		t.Errorf("stored in part: got %v", got)
	}
	m.write("config", whole)
}

// The framework's type errors quote what was sent. The one who sent it may see that, but Vault's log may not: it
// logs what an existence check returns.
func TestExistenceCheckQuotesNothing(t *testing.T) {
	m := newMount(t)
	_, _, err := m.backend.HandleExistenceCheck(t.Context(), &logical.Request{
		Operation: logical.CreateOperation, Path: "config", Storage: m.storage,
		Data: map[string]any{settings.FieldClientSecret: map[string]any{"marked": "secret"}},
	})
	if err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// Limits are inclusive.
func TestLongestInput(t *testing.T) {
	m := newMount(t)
	id, name := strings.Repeat("i", 256), strings.Repeat("n", 63)
	m.write("config", map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: id, settings.FieldCustomerID: id, settings.FieldUserID: id, settings.FieldKey: name,
		settings.FieldClientSecret: strings.Repeat("s", 4096), settings.FieldJWTTTL: "10m", settings.FieldRequestTimeout: "60s", settings.FieldMaxRetries: 5, settings.FieldSessionTTL: "768h",
	})
	m.write("config", map[string]any{settings.FieldJWTTTL: "30s", settings.FieldRequestTimeout: "1s", settings.FieldMaxRetries: 0, settings.FieldSessionTTL: "10s"})
	m.write("keys/"+name+"/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t), settings.FieldCommonName: strings.Repeat("c", 64), settings.FieldCertificateTTL: "1h"})
}
