//go:build e2e

package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// samplesFile holds the requests and responses that the API reference shows. They are recorded here, and read by a test of
// the plugin's own package, which needs no Vault.
var samplesFile = filepath.Join("testdata", "samples.json")

var updateSamples = flag.Bool("update", false, "write "+samplesFile+" instead of comparing it")

// sample is one request to Vault, and the response.
type sample struct {
	Method   string          `json:"method"`
	Pattern  string          `json:"pattern"` // the path as the OpenAPI document has it, such as keys/{name}
	Path     string          `json:"path"`    // as it was sent, below /v1/
	Request  json.RawMessage `json:"request,omitempty"`
	Status   int             `json:"status"`
	Response *sampleResponse `json:"response,omitempty"`
	Text     string          `json:"text,omitempty"` // of a response that is not JSON
}

// sampleResponse is what a response says. The rest (request_id, auth, wrap_info, ...) says nothing here, and differs between
// versions of Vault.
type sampleResponse struct {
	LeaseID       string          `json:"lease_id,omitempty"`
	LeaseDuration int             `json:"lease_duration,omitempty"`
	Renewable     bool            `json:"renewable,omitempty"`
	Data          json.RawMessage `json:"data,omitempty"`
	Warnings      []string        `json:"warnings,omitempty"`
}

// TestSamples records a sample of every operation. Two runs must record the same, byte by byte.
func TestSamples(t *testing.T) {
	t.Parallel()
	samples := append(recordSettings(t), recordTokens(t)...)
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(samples); err != nil {
		t.Fatal(err)
	}
	if found := leaks.find(got.Bytes(), false, false); len(found) > 0 {
		t.Fatalf("the samples hold secrets: %v", found)
	}
	if *updateSamples {
		if err := os.WriteFile(samplesFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(samplesFile)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s is not what was recorded; run `make docs` and look at what has changed. Recorded:\n%s", samplesFile, got.String())
	}
}

// recordSettings takes a mount through its paths that do not call Workfront, so that the settings can be real ones.
func recordSettings(t *testing.T) []sample {
	t.Helper()
	s := newSampler(enable(t, sharedVault(t), uniqueName(t)))
	imported, err := json.Marshal(yearLongKey(t))
	if err != nil {
		t.Fatal(err)
	}
	s.record(t, "POST", "keys/{name}/generate", "keys/default/generate", `{"key_bits":2048,"certificate_ttl":"8760h"}`)
	s.record(t, "POST", "keys/{name}/import", "keys/2027/import", string(imported))
	s.record(t, "LIST", "keys/", "keys", "")
	s.record(t, "POST", "config", "config", `{"base_url":"https://`+sampleHost+`","client_id":"`+sampleClient+
		`","client_secret":"CLIENT_SECRET","customer_id":"`+sampleCustomer+`","user_id":"`+sampleUser+`","ttl":"10m"}`)
	s.record(t, "PATCH", "config", "config", `{"ttl":"15m","max_ttl":null}`)
	s.record(t, "GET", "config", "config", "")
	s.record(t, "GET", "keys/{name}", "keys/default", "")
	s.record(t, "DELETE", "keys/{name}", "keys/2027", "")
	s.record(t, "POST", "roles/{name}", "roles/reports", `{"ttl":"10m","share_session":true,"description":"Nightly reports"}`)
	s.record(t, "PATCH", "roles/{name}", "roles/reports", `{"ttl":null,"max_ttl":"1h"}`)
	s.record(t, "GET", "roles/{name}", "roles/reports", "")
	s.record(t, "LIST", "roles/", "roles", "")
	s.record(t, "DELETE", "roles/{name}", "roles/reports", "")
	s.record(t, "GET", "info", "info", "")
	s.record(t, "DELETE", "config", "config", "")
	return s.found
}

// yearLongKey generates a key by Adobe's command. That of the run expires so soon that there would be a warning.
func yearLongKey(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"private_key": filepath.Join(dir, "private.key"), "certificate": filepath.Join(dir, "certificate_pub.crt"),
	}
	openssl(t, "req", "-x509", "-sha256", "-nodes", "-newkey", "rsa:2048", "-days", "365", "-subj", "/CN=workfront",
		"-keyout", files["private_key"], "-out", files["certificate"])
	for field, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files[field] = string(text)
	}
	leaks.addPrivateKey(files["private_key"])
	return files
}

// recordTokens takes a mount through its paths that call Workfront.
func recordTokens(t *testing.T) []sample {
	t.Helper()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	certificate, _ := m.write(t, "keys/default/generate", nil).Data["certificate"].(string)
	w.upload(t, certificate)
	m.configure(t, w, map[string]any{"ttl": "10m"})
	m.write(t, "roles/reports", nil)
	host, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(m, host.Host, sampleHost, w.User.ID, sampleUser)
	s.record(t, "POST", "check", "check", `{"role":"reports"}`)
	s.record(t, "GET", "token", "token?ttl=5m", "")
	s.record(t, "POST", "token", "token", `{"ttl":"5m"}`)
	s.record(t, "GET", "token/{role}", "token/reports", "")
	m.revokeAll(t)
	token := s.record(t, "POST", "token/{role}", "token/reports", `{"ttl":"5m"}`)
	id, _ := token["session_id"].(string)
	s.record(t, "LIST", "sessions/", "sessions", "")
	s.record(t, "GET", "sessions/{id}", "sessions/"+id, "")
	lookup, err := json.Marshal(map[string]any{"access_token": token["access_token"]})
	if err != nil {
		t.Fatal(err)
	}
	s.record(t, "POST", "sessions/lookup", "sessions/lookup", string(lookup))
	s.record(t, "GET", "metrics", "metrics", "")
	s.record(t, "DELETE", "sessions/{id}", "sessions/"+id, "")
	m.revokeAll(t)
	return s.found
}

// What the samples show in place of what differs from run to run.
const (
	sampleHost     = "acme.my.workfront.com"
	sampleClient   = "4b0c7d51e0f64d2f8a3d9c5e7b1f2a60"
	sampleCustomer = "58d31f0c6b7e4f0a9c2e5d8b7a6f1e34"
	sampleUser     = "5fd0b1c2a3e4450f8d7c6b5a49382716"
)

var sampleFields = map[string]string{
	"created_at": "2026-12-01T09:00:00Z", "not_before": "2026-12-01T09:00:00Z", "not_after": "2027-12-01T09:00:00Z",
	"issued_at": "2026-12-01T09:00:00Z", "expires_at": "2026-12-01T09:30:00Z", "build_date": "2026-12-01T08:00:00Z",
	"fingerprint_sha256": "5E:0F:...:9C:A1", "version": "v0.1.0", "commit": "0123456789ab", "go_version": "go1.26.11",
}

var sampleForms = []struct {
	found   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(-----BEGIN [A-Z ]+-----)(?:\\n|[A-Za-z0-9+/=])+(-----END)`), `$1\n...\n$2`},
	{regexp.MustCompile(`\b\d+ ms\b`), "12 ms"},
	// The metrics: no buckets, and of numbers only those that count what was done here.
	{regexp.MustCompile(`(?m)^\S+_(bucket|sum)\b.*\n`), ""},
	{regexp.MustCompile(`commit="[^"]*",version="[^"]*"`), `commit="0123456789ab",version="v0.1.0"`},
	{regexp.MustCompile(`(?m)^(vault_workfront_key_certificate_expiry\S+) \S+$`), "$1 1.8277956e+09"},
}

// sampler records the samples of a mount.
type sampler struct {
	mount *mount
	known []string // pairs of what differs and what is shown instead
	found []sample
}

func newSampler(m *mount, known ...string) *sampler {
	return &sampler{mount: m, known: append(known, m.path+"/", "workfront/")}
}

// record sends a request, and returns the data of the response.
func (s *sampler) record(t *testing.T, method, pattern, path, body string) (data map[string]any) {
	t.Helper()
	status, contentType, text := s.send(t, method, path, body)
	recorded := sample{Method: method, Pattern: pattern, Status: status}
	if strings.HasPrefix(contentType, "text/plain") {
		recorded.Text = s.shown(text)
	} else if text != "" {
		recorded.Response = new(sampleResponse)
		if err := json.Unmarshal([]byte(text), recorded.Response); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(recorded.Response.Data, &data); err != nil {
			t.Fatal(err)
		}
		for field, instead := range map[string]string{"session_id": "SESSION_ID", "access_token": "ACCESS_TOKEN"} {
			if value, _ := data[field].(string); value != "" {
				s.known = append(s.known, value, instead)
			}
		}
		if i := strings.LastIndex(recorded.Response.LeaseID, "/"); i > 0 {
			recorded.Response.LeaseID = s.shown(recorded.Response.LeaseID[:i+1]) + "LEASE_ID"
		}
		recorded.Response.Data = json.RawMessage(s.shown(string(recorded.Response.Data)))
	}
	recorded.Path = s.shown(s.mount.path + "/" + path)
	recorded.Request = json.RawMessage(s.shown(body))
	s.found = append(s.found, recorded)
	return data
}

func (s *sampler) send(t *testing.T, method, path, body string) (status int, contentType, text string) {
	t.Helper()
	config := s.mount.client.CloneConfig()
	request, err := http.NewRequest(method, config.Address+"/v1/"+s.mount.path+"/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", s.mount.client.Token())
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := config.HttpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, content)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(content)
}

var sampleField = regexp.MustCompile(`"(\w+)":"[^"]+"`)

// shown replaces what differs from run to run.
func (s *sampler) shown(text string) string {
	text = strings.NewReplacer(s.known...).Replace(text)
	text = sampleField.ReplaceAllStringFunc(text, func(field string) string {
		name, _, _ := strings.Cut(field[1:], `"`)
		if instead := sampleFields[name]; instead != "" {
			return `"` + name + `":"` + instead + `"`
		}
		return field
	})
	for _, form := range sampleForms {
		text = form.found.ReplaceAllString(text, form.instead)
	}
	return text
}
