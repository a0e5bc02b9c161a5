package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// fuzzedMount is what each input of a fuzz target finds: a mount with a config, keys, roles and issued sessions,
// and nothing in memory. No input sees what another one did, but for the stand-in, whose sessions may have been logged out.
type fuzzedMount struct {
	workfront *standIn
	clock     *workfronttest.Clock
	system    *logical.StaticSystemView
	entries   map[string]string // of storage
	sessionID string            // of the first lease
	token     string            // its session
	lease     map[string]any    // its internal data
	secrets   map[string]string // what must not come out, and what it is
	words     map[string]string // what inputs may name that is another text in each process
}

func newFuzzedMount(f *testing.F) *fuzzedMount {
	f.Helper()
	m := &fuzzedMount{clock: workfronttest.NewClock(), system: logical.TestSystemView()}
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.0"}
	m.workfront = newStandIn(f, m.clock.Now)
	w := m.workfront
	w.upload(f, testKey().CertificatePEM())
	private, err := testKey().PrivatePEM()
	if err != nil {
		f.Fatal(err)
	}
	other, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "other", Now: m.clock.Now(), TTL: 1 << 40})
	if err != nil {
		f.Fatal(err)
	}
	otherPrivate, err := other.PrivatePEM()
	if err != nil {
		f.Fatal(err)
	}
	m.start(f, m.workfront.settings(nil), private)
	m.secrets = map[string]string{w.App.ClientSecret: "the client secret"}
	modulus := testKey().Private.N.Bytes()
	for line := range strings.Lines(private) {
		// The certificate holds the modulus, too, and may hold it in the same places.
		line = strings.TrimSpace(line)
		if content, err := base64.StdEncoding.DecodeString(line); err == nil && len(line) > 20 && !strings.Contains(string(modulus), string(content)) {
			m.secrets[line] = "the private key"
		}
	}
	m.words = map[string]string{
		"{session}": m.sessionID, "{token}": m.token, "{base_url}": w.URL(), "{ca_cert}": w.CACert(), "{user_id}": w.User.ID,
		"{private_key}": otherPrivate, "{certificate}": other.CertificatePEM(),
	}
	return m
}

// start fills the storage by requests, as operators and readers would.
func (m *fuzzedMount) start(f *testing.F, config map[string]any, private string) {
	f.Helper()
	b, storage := m.backend(f)
	var resp *logical.Response
	for _, r := range []struct {
		op   logical.Operation
		path string
		data map[string]any
	}{
		{logical.UpdateOperation, "keys/default/import", map[string]any{settings.FieldPrivateKey: private}},
		{logical.UpdateOperation, "keys/spare/import", map[string]any{settings.FieldPrivateKey: private}},
		{logical.UpdateOperation, "config", config},
		{logical.UpdateOperation, "roles/reports", map[string]any{settings.FieldKey: "default", settings.FieldTTL: "5m", settings.FieldDescription: "reports"}},
		{logical.UpdateOperation, "roles/shared", map[string]any{settings.FieldShareSession: true}},
		{logical.ReadOperation, "token/shared", nil},
		{logical.ReadOperation, "token", nil},
	} {
		var err error
		resp, err = b.HandleRequest(f.Context(), &logical.Request{Operation: r.op, Path: r.path, Data: r.data, Storage: storage, MountPoint: testMount})
		if err != nil || resp.IsError() {
			f.Fatal(r.path, resp, err)
		}
	}
	m.sessionID, m.lease = resp.Data[fieldSessionID].(string), resp.Secret.InternalData
	m.token = resp.Data[fieldAccessToken].(string)
	m.entries = contents(f, storage)
	m.clock.Advance(time.Minute) // an input that logs out a session that is young waits to be told so twice
}

// backend makes a backend and its storage, as a start of the plugin would find it.
func (m *fuzzedMount) backend(t testing.TB) (*backend, logical.Storage) {
	t.Helper()
	storage := logical.NewStorageView(&logical.InmemStorage{}, "") // refuses the keys that Vault refuses
	for key, value := range m.entries {
		if err := storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	conf := &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: m.system, StorageView: storage}
	b := newBackend(conf, m.clock.Now)
	if err := b.Setup(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.broker.Close(t.Context(), storage, false) }) // drops its connections; the context is over by then
	return b, storage
}

// contents returns all entries of a storage.
func contents(t testing.TB, storage logical.Storage) map[string]string {
	t.Helper()
	keys, err := logical.CollectKeys(t.Context(), storage)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(keys))
	for _, key := range keys {
		entry, err := storage.Get(t.Context(), key)
		if err != nil || entry == nil {
			t.Fatalf("read %s: %v, %v", key, entry, err)
		}
		all[key] = string(entry.Value)
	}
	return all
}

// changed returns the keys whose entries differ.
func changed(before, after map[string]string) []string {
	var keys []string
	for key := range before {
		if value, kept := after[key]; !kept || value != before[key] {
			keys = append(keys, key)
		}
	}
	for key := range after {
		if _, known := before[key]; !known {
			keys = append(keys, key)
		}
	}
	return keys
}

// named puts the words of this process into an input, quoted as in JSON if need be.
func (m *fuzzedMount) named(text string, inJSON bool) string {
	for word, value := range m.words {
		if inJSON {
			quoted, _ := json.Marshal(value) // never fails for a string
			value = string(quoted[1 : len(quoted)-1])
		}
		text = strings.ReplaceAll(text, word, value)
	}
	return text
}

// send sends a request as Vault does, with an existence check before a write, and returns the HTTP status that Vault makes of
// the answer; 0 stands for success. On the way, it looks for secrets.
func (m *fuzzedMount) send(t *testing.T, b *backend, req *logical.Request) (int, *logical.Response, error) {
	t.Helper()
	if req.Operation == logical.CreateOperation || req.Operation == logical.UpdateOperation {
		found, exists, err := b.HandleExistenceCheck(t.Context(), req)
		if err != nil && !errors.Is(err, logical.ErrUnsupportedPath) {
			t.Errorf("existence check of %q: %v, of which Vault makes a 500", req.Path, err)
		}
		if req.Operation = logical.UpdateOperation; found && !exists {
			req.Operation = logical.CreateOperation
		}
	}
	sent := *req
	sent.Data = maps.Clone(req.Data)
	resp, err := b.HandleRequest(t.Context(), req)
	status, said := logical.RespondErrorCommon(&sent, resp, err)
	if said != nil {
		logical.AdjustErrorStatusCode(&status, said)
	}
	if status == 0 && resp != nil && len(resp.Data) > 0 {
		for name, value := range resp.Data {
			if name != fieldAccessToken {
				m.wantNoSecret(t, &sent, fmt.Sprint(name, value))
			}
		}
	}
	if resp != nil {
		m.wantNoSecret(t, &sent, fmt.Sprint(resp.Warnings, resp.Data["error"]))
	}
	if err != nil {
		m.wantNoSecret(t, &sent, err.Error())
	}
	return status, resp, err
}

func (m *fuzzedMount) wantNoSecret(t *testing.T, req *logical.Request, text string) {
	t.Helper()
	for secret, what := range m.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s %q with %q: %s is in %q", req.Operation, req.Path, req.Data, what, text)
		}
	}
}
