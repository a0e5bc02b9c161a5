package main

import (
	"crypto/fips140"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/testhelpers/schema"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const testMount = "workfront/"

// mount is the secrets engine as Vault would hold it.
type mount struct {
	t       *testing.T
	backend logical.Backend
	storage *storagetest.Storage
	system  *logical.StaticSystemView
	clock   *workfronttest.Clock
	logger  hclog.Logger
}

func newMount(t *testing.T) *mount {
	t.Helper()
	m := &mount{
		t:       t,
		storage: storagetest.New(),
		system:  logical.TestSystemView(),
		clock:   workfronttest.NewClock(),
		logger:  hclog.NewNullLogger(),
	}
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.0"}
	m.restart()
	return m
}

// restart makes the backend anew, as another process would have it: with nothing in memory.
func (m *mount) restart() {
	m.t.Helper()
	conf := &logical.BackendConfig{Logger: m.logger, System: m.system, StorageView: m.storage}
	b := newBackend(conf, m.clock.Now)
	if err := b.Setup(m.t.Context(), conf); err != nil {
		m.t.Fatal(err)
	}
	m.backend = b
}

// request sends a request as Vault does: an existence check first, for a write, and answers that went through JSON.
func (m *mount) request(op logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	m.t.Helper()
	req := &logical.Request{Operation: op, Path: path, Data: data, Storage: m.storage, MountPoint: testMount}
	if op == logical.CreateOperation || op == logical.UpdateOperation {
		found, exists, err := m.backend.HandleExistenceCheck(m.t.Context(), req)
		if err != nil {
			return nil, err
		}
		if req.Operation = logical.UpdateOperation; found && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	return m.backend.HandleRequest(m.t.Context(), req)
}

// must sends a request that has to succeed, and checks that the answer is as the OpenAPI document describes it.
func (m *mount) must(op logical.Operation, path string, data map[string]any) *logical.Response {
	m.t.Helper()
	resp, err := m.request(op, path, data)
	if err != nil {
		m.t.Fatalf("%s %s: %v", op, path, err)
	}
	if resp.IsError() {
		m.t.Fatalf("%s %s: %v", op, path, resp.Error())
	}
	if op != logical.HelpOperation && resp != nil && len(resp.Data) > 0 {
		route := m.backend.(*backend).Route(path)
		responses := route.Operations[op].Properties().Responses[200]
		schema.ValidateResponse(m.t, &responses[0], resp, true)
	}
	return resp
}

func (m *mount) write(path string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(logical.UpdateOperation, path, data)
}

func (m *mount) read(path string) map[string]any {
	m.t.Helper()
	resp := m.must(logical.ReadOperation, path, nil)
	if resp == nil {
		return nil
	}
	return resp.Data
}

// wantRefused sends a request that has to be answered with 400, and a text that holds each of parts.
func (m *mount) wantRefused(op logical.Operation, path string, data map[string]any, parts ...string) {
	m.t.Helper()
	resp, err := m.request(op, path, data)
	if err != nil {
		m.t.Errorf("%s %s: got error %v, want an error response", op, path, err)
		return
	}
	if resp == nil || !resp.IsError() {
		m.t.Errorf("%s %s: got %v, want an error response", op, path, resp)
		return
	}
	for _, part := range parts {
		if !strings.Contains(resp.Error().Error(), part) {
			m.t.Errorf("%s %s: got %q, want it to hold %q", op, path, resp.Error(), part)
		}
	}
}

// wantStatus sends a request that has to fail with that HTTP status.
func (m *mount) wantStatus(status int, op logical.Operation, path string, data map[string]any, parts ...string) {
	m.t.Helper()
	_, err := m.request(op, path, data)
	var coded logical.HTTPCodedError
	if !errors.As(err, &coded) || coded.Code() != status {
		m.t.Errorf("%s %s: got %v, want status %d", op, path, err, status)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			m.t.Errorf("%s %s: got %q, want it to hold %q", op, path, err, part)
		}
	}
}

// lease is a leased answer, and what Vault does with it.
type lease struct {
	m      *mount
	data   map[string]any
	secret *logical.Secret
	raw    *logical.Response
}

func (m *mount) readToken(data map[string]any) *lease {
	m.t.Helper()
	return m.readTokenAt("token", data)
}

func (m *mount) readTokenAt(path string, data map[string]any) *lease {
	m.t.Helper()
	resp := m.must(logical.ReadOperation, path, data)
	secret := *resp.Secret
	secret.IssueTime = m.clock.Now()
	return &lease{m: m, data: resp.Data, secret: &secret, raw: resp}
}

func (l *lease) token() string { return l.data[fieldAccessToken].(string) }

func (l *lease) request(op logical.Operation) (*logical.Response, error) {
	l.m.t.Helper()
	secret := *l.secret
	// Vault keeps the lease as JSON.
	text, err := json.Marshal(secret.InternalData)
	if err != nil {
		l.m.t.Fatal(err)
	}
	secret.InternalData = nil
	if err := json.Unmarshal(text, &secret.InternalData); err != nil {
		l.m.t.Fatal(err)
	}
	return l.m.backend.HandleRequest(l.m.t.Context(), &logical.Request{
		Operation: op, Path: "token", Storage: l.m.storage, MountPoint: testMount, Secret: &secret, Data: l.data,
	})
}

func (l *lease) revoke() {
	l.m.t.Helper()
	if resp, err := l.request(logical.RevokeOperation); err != nil || resp.IsError() {
		l.m.t.Fatalf("revoke: %v, %v", resp, err)
	}
}

// standIn is a Workfront with an application and a user that a mount can be configured for.
type standIn struct {
	*workfronttest.Integration
	fingerprint string // the stand-in's, of the public key that was uploaded first
}

func newStandIn(t testing.TB, now func() time.Time) *standIn {
	t.Helper()
	integration, err := workfronttest.StartIntegration(workfronttest.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(integration.Close)
	return &standIn{Integration: integration}
}

// settings is a config for this Workfront, with changes.
func (w *standIn) settings(changes map[string]any) map[string]any {
	s := map[string]any{
		settings.FieldBaseURL:         w.URL(),
		settings.FieldClientID:        w.App.ClientID,
		settings.FieldClientSecret:    w.App.ClientSecret,
		settings.FieldCustomerID:      w.App.CustomerID,
		settings.FieldUserID:          w.User.ID,
		settings.FieldCACert:          w.CACert(),
		settings.FieldAllowCustomHost: true,
	}
	for name, value := range changes {
		s[name] = value
	}
	return s
}

// upload adds a certificate to the application's public keys, as an administrator does in Workfront's Setup.
func (w *standIn) upload(t testing.TB, certificate string) {
	t.Helper()
	fingerprint, err := w.Upload(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if w.fingerprint == "" {
		w.fingerprint = fingerprint
	}
}

// testKey is a key pair made once for all tests.
var testKey = sync.OnceValue(func() *signingkey.Key {
	key, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "test", Now: time.Now(), TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	return key
})

func testKeyPEM(t *testing.T) string {
	t.Helper()
	text, err := testKey().PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ready returns a mount that can read tokens, and the Workfront that they are for.
func ready(t *testing.T, changes map[string]any) (*mount, *standIn) {
	t.Helper()
	m := newMount(t)
	w := newStandIn(t, m.clock.Now)
	m.write("keys/default/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t), settings.FieldCertificate: testKey().CertificatePEM()})
	w.upload(t, testKey().CertificatePEM())
	m.write("config", w.settings(changes))
	return m, w
}

func TestStory(t *testing.T) {
	m := newMount(t)
	w := newStandIn(t, m.clock.Now)
	key := m.write("keys/default/generate", nil)
	w.upload(t, key.Data[settings.FieldCertificate].(string))
	if resp := m.write("config", w.settings(nil)); resp != nil {
		t.Errorf("answer to a config that lacks nothing: got %v, want none", resp)
	}
	l := m.readToken(nil)
	if !w.SessionAlive(l.token()) {
		t.Error("the access token is no session that lives at Workfront")
	}
	want := map[string]any{
		fieldAccessToken:      l.token(),
		fieldTokenType:        "sessionID",
		settings.FieldBaseURL: w.URL(),
		settings.FieldUserID:  w.User.ID,
		fieldSessionID:        l.data[fieldSessionID],
		fieldExpiresAt:        m.clock.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339),
	}
	if got, want := asJSON(t, l.data), asJSON(t, want); got != want {
		t.Errorf("answer: got %s, want %s and nothing else", got, want)
	}
	l.revoke()
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on after the revocation")
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInfo(t *testing.T) {
	m := newMount(t)
	got := m.read("info")
	want := map[string]any{fieldVersion: version, fieldCommit: commit, fieldBuildDate: buildDate, settings.FieldAPIVersion: "v22.0", fieldGoVersion: runtime.Version(), fieldFIPS140: fips140.Enabled()}
	if asJSON(t, got) != asJSON(t, want) {
		t.Errorf("unconfigured: got %v, want %v", got, want)
	}
	if got := m.backend.(logical.PluginVersioner).PluginVersion().Version; got != version {
		t.Errorf("running version: got %q, want %q", got, version)
	}
	m, _ = ready(t, map[string]any{settings.FieldAPIVersion: "v21.0"})
	if got := m.read("info")[settings.FieldAPIVersion]; got != "v21.0" {
		t.Errorf("API version in use: got %v, want v21.0", got)
	}
}

func TestFactory(t *testing.T) {
	b, err := Factory(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: logical.TestSystemView(), StorageView: storagetest.New()})
	if err != nil {
		t.Fatal(err)
	}
	if b.Type() != logical.TypeLogical {
		t.Errorf("type: got %v, want a secrets engine", b.Type())
	}
	// Rule: config and keys are seal-wrapped, sessions are not.
	if got, want := asJSON(t, b.SpecialPaths().SealWrapStorage), `["config","keys/"]`; got != want {
		t.Errorf("seal-wrapped: got %s, want %s", got, want)
	}
	if got := b.SpecialPaths().Unauthenticated; len(got) != 0 {
		t.Errorf("unauthenticated paths: got %v, want none", got)
	}
	b.Cleanup(t.Context())
}

// Vault starts the binary with a handshake; anybody else gets an explanation and a failure.
func TestBinaryStartedByHand(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "plugin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no arguments", nil, "This binary is a plugin"},
		{"unknown flag", []string{"-nonsense"}, "nonsense"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), bin, tt.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("got %v, %q; want a failure that says %q", err, out, tt.want)
			}
		})
	}
}
