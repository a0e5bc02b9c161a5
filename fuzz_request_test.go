package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/testhelpers/schema"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// What FuzzHandleRequest chooses from; %s is a name that it makes up. The last route is any path at all.
var (
	fuzzedRoutes = []string{
		"config", "keys/", "keys/%s", "keys/%s/generate", "keys/%s/import", "roles/", "roles/%s", "token", "token/%s", "check", "sessions/", "sessions/%s", "info",
		"sessions/lookup", "%s",
	}
	fuzzedOperations = []logical.Operation{
		logical.ReadOperation, logical.UpdateOperation, logical.PatchOperation, logical.DeleteOperation, logical.ListOperation, logical.CreateOperation,
		logical.HelpOperation, logical.RenewOperation, logical.RevokeOperation, logical.RollbackOperation, logical.HeaderOperation,
	}
)

// fuzzedMark begins what is sent as a secret.
const fuzzedMark = "FUZZED-SECRET"

// fuzzedSecrets are the fields of requests that hold secrets.
var fuzzedSecrets = []string{settings.FieldClientSecret, settings.FieldPrivateKey, fieldAccessToken}

// fuzzedValue makes one of the kinds of values that JSON has of a text.
func fuzzedValue(kind uint8, text string) any {
	switch kind % 7 {
	case 1:
		return json.Number(text)
	case 2:
		return strings.HasPrefix(text, "t")
	case 3:
		return nil
	case 4:
		return []any{text, json.Number("1")}
	case 5:
		return map[string]any{text: text}
	case 6:
		return float64(len(text)) / 2 // as from a caller that does not go through Vault's JSON
	}
	return text
}

// FuzzHandleRequest sends one request of any kind to a mount that is in use. It looks for panics, for what Vault would make a
// 500 of, for secrets in answers, for refused requests that changed something, and for writes after which reads fail.
func FuzzHandleRequest(f *testing.F) {
	m := newFuzzedMount(f)
	objects := map[string]string{
		"config":           `{"base_url":"{base_url}","client_id":"c","client_secret":"` + fuzzedMark + `","customer_id":"cu","ca_cert":"{ca_cert}","allow_custom_host":"true","ttl":"15m","max_ttl":3600,"max_retries":0}`,
		"keys/%s/generate": `{"key_bits":4096,"common_name":"x","certificate_ttl":"720h"}`,
		"keys/%s/import":   `{"private_key":"{private_key}","certificate":"{certificate}"}`,
		"roles/%s":         `{"user_id":"u","key":"spare","ttl":"1h","max_ttl":7200,"share_session":true,"description":"d"}`,
		"token":            `{"ttl":"90s"}`,
		"token/%s":         `{"ttl":"1"}`,
		"check":            `{"role":"reports","key":"spare"}`,
		"sessions/lookup":  `{"access_token":" {token}\n","base_url":"{base_url}"}`,
		"%s":               `{"session_id":"{session}","lease_id":"0","ttl":"soon","role":"none"}`,
	}
	for r, route := range fuzzedRoutes {
		for o := range fuzzedOperations {
			if o < 4 || route == "%s" { // what most paths know
				f.Add(uint8(r), uint8(o), "shared", objects[route], uint8(255), uint8(0), "")
			}
		}
		f.Add(uint8(r), uint8(1), "{session}", `{"name":"x","role":"y","unknown":[{}]}`, uint8(r), uint8(r), "1e99")
		f.Add(uint8(r), uint8(3), "../config", `{}`, uint8(r), uint8(4), "")
	}
	f.Add(uint8(0), uint8(1), "", `{"verify_connection":true}`, uint8(255), uint8(0), "")
	f.Add(uint8(0), uint8(2), "", `{"verify_connection":"1","client_secret":"`+fuzzedMark+`"}`, uint8(255), uint8(0), "")
	f.Add(uint8(0), uint8(2), "", `{"ttl":null,"jwt_ttl":null,"key":null,"verify_connection":null}`, uint8(0), uint8(3), "")
	f.Add(uint8(4), uint8(1), "new", `{}`, uint8(4), uint8(0), "{private_key}")
	f.Add(uint8(4), uint8(1), "\x8f", `{"private_key":"{private_key}"}`, uint8(255), uint8(0), "")
	f.Add(uint8(11), uint8(0), "{session}", `{}`, uint8(0), uint8(0), "")
	f.Add(uint8(11), uint8(3), "{session}", `{}`, uint8(0), uint8(0), "")
	f.Fuzz(func(t *testing.T, route, op uint8, name, object string, field, kind uint8, value string) {
		b, storage := m.backend(t)
		in := m.input(b, route, op, name, object, field, kind, value)
		in.Storage = storage
		if keyName, found := strings.CutSuffix(in.Path, "/generate"); found && settings.CheckName("", strings.TrimPrefix(keyName, settings.KeyPrefix)) == nil {
			// Making a key takes a second. All that comes before is done for a name that exists, too.
			if err := storage.Put(t.Context(), &logical.StorageEntry{Key: keyName, Value: []byte(m.entries["keys/default"])}); err != nil {
				t.Fatal(err)
			}
		}
		before := contents(t, storage)
		status, resp, err := m.send(t, b, in)
		m.checkAnswer(t, b, in, status, resp, err)
		keys := changed(before, contents(t, storage))
		m.checkChanges(t, in, status, keys)
		if len(keys) > 0 {
			m.checkReads(t, b, storage)
		}
	})
}

// input makes a request of what the fuzzer chose.
func (m *fuzzedMount) input(b *backend, route, op uint8, name, object string, field, kind uint8, value string) *logical.Request {
	req := &logical.Request{Operation: fuzzedOperations[int(op)%len(fuzzedOperations)], MountPoint: testMount}
	req.Path = strings.ReplaceAll(fuzzedRoutes[int(route)%len(fuzzedRoutes)], "%s", m.named(name, false))
	decoder := json.NewDecoder(strings.NewReader(m.named(object, true)))
	decoder.UseNumber() // as Vault does
	if decoder.Decode(&req.Data) != nil || req.Data == nil {
		req.Data = map[string]any{}
	}
	if req.Operation == logical.RenewOperation || req.Operation == logical.RevokeOperation {
		lease := maps.Clone(m.lease)
		maps.Copy(lease, req.Data)
		if fields := slices.Sorted(maps.Keys(m.lease)); int(field) < len(fields) {
			lease[fields[field]] = fuzzedValue(kind, m.named(value, false))
		}
		lease["secret_type"] = secretSessionType
		req.Data, req.Secret = nil, &logical.Secret{InternalData: lease}
		req.Secret.IssueTime = m.clock.Now()
		return req
	}
	if path := b.Route(req.Path); path != nil {
		if fields := slices.Sorted(maps.Keys(path.Fields)); int(field) < len(fields) {
			name := fields[field]
			if value = m.named(value, false); slices.Contains(fuzzedSecrets, name) {
				value = fuzzedMark + "\n" + value // PEM may have text in front
				if name != settings.FieldPrivateKey {
					value = strings.Replace(value, "\n", "-", 1)
				}
			}
			req.Data[name] = fuzzedValue(kind, value)
		}
	}
	if _, moved := req.Data[settings.FieldBaseURL]; moved && req.Data[settings.FieldBaseURL] != m.workfront.URL() {
		delete(req.Data, fieldVerify) // it would talk to whoever that is
	}
	return req
}

// checkAnswer checks that Vault can pass the answer on as it is meant.
func (m *fuzzedMount) checkAnswer(t *testing.T, b *backend, req *logical.Request, status int, resp *logical.Response, err error) {
	t.Helper()
	what := fmt.Sprintf("%s %q with %q", req.Operation, req.Path, req.Data)
	switch req.Operation {
	case logical.RenewOperation, logical.RevokeOperation:
		// Vault makes of any error that it will try again, or what it sends to the holder of the lease: no status is at stake.
	case logical.RollbackOperation:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	default:
		if !slices.Contains([]int{0, 400, 404, 405, 502, 503}, status) {
			t.Errorf("%s: got status %d: %v, %v", what, status, resp, err)
		}
	}
	if sentAsSecret(req) && strings.Contains(fmt.Sprint(resp, err), fuzzedMark) {
		t.Errorf("%s: what was sent as a secret is in %v, %v", what, resp, err)
	}
	path := b.Route(req.Path)
	if status != 0 || resp == nil || len(resp.Data) == 0 || path == nil || path.Operations[req.Operation] == nil {
		return
	}
	if responses := path.Operations[req.Operation].Properties().Responses[200]; len(responses) > 0 {
		schema.ValidateResponse(t, &responses[0], resp, true)
	}
}

// sentAsSecret tells whether a request holds fuzzedMark in the fields of secrets alone: what else a request holds may be told
// to the one who sent it.
func sentAsSecret(req *logical.Request) bool {
	rest := maps.Clone(req.Data)
	for _, name := range fuzzedSecrets {
		delete(rest, name)
	}
	return !strings.Contains(fmt.Sprint(req.Path, rest, req.Secret), fuzzedMark)
}

// checkChanges checks which entries of storage a request has changed: none but its own, and none at all if it was refused. What
// talks to Workfront may also have changed the ledger of sessions.
func (m *fuzzedMount) checkChanges(t *testing.T, req *logical.Request, status int, keys []string) {
	t.Helper()
	own := strings.TrimSuffix(strings.TrimSuffix(req.Path, "/generate"), "/import")
	writes := slices.Contains([]logical.Operation{logical.CreateOperation, logical.UpdateOperation, logical.PatchOperation, logical.DeleteOperation}, req.Operation)
	room, _, _ := strings.Cut(req.Path, "/")
	_, verified := req.Data[fieldVerify]
	talks := req.Secret != nil || req.Operation == logical.RollbackOperation || verified || slices.Contains([]string{"token", "check", "sessions"}, room) && req.Path != "sessions/lookup"
	for _, key := range keys {
		prefix, _, _ := strings.Cut(key, "/")
		ofLedger := slices.Contains([]string{"session", "lease", "expiry", "pending", "shared", "trust", "maintenance"}, prefix)
		switch {
		case ofLedger && (talks || writes && status == 0): // settings may end the sharing of a session
		case key == own && writes && status == 0:
		default:
			t.Errorf("%s %q with %q, status %d: the entry %q was changed", req.Operation, req.Path, req.Data, status, key)
		}
	}
}

// checkReads checks that a mount that was written to can be used.
func (m *fuzzedMount) checkReads(t *testing.T, b *backend, storage logical.Storage) {
	t.Helper()
	reads := []logical.Request{
		{Operation: logical.ReadOperation, Path: "config"},
		{Operation: logical.ReadOperation, Path: "info"},
		{Operation: logical.ListOperation, Path: "keys/"},
		{Operation: logical.ListOperation, Path: "sessions/"},
		{Operation: logical.RollbackOperation},
	}
	for _, prefix := range []string{settings.KeyPrefix, settings.RolePrefix} {
		names, err := storage.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			reads = append(reads, logical.Request{Operation: logical.ReadOperation, Path: prefix + name})
		}
	}
	c, err := b.settings.Config(t.Context(), storage)
	if err != nil {
		t.Fatal(err)
	}
	if c != nil && c.BaseURL == m.workfront.URL() { // anybody else is not to be talked to
		reads = append(reads, logical.Request{Operation: logical.ReadOperation, Path: "token"})
	}
	for _, req := range reads {
		req.Storage, req.MountPoint = storage, testMount
		status, resp, err := m.send(t, b, &req)
		m.checkAnswer(t, b, &req, status, resp, err)
		if resp == nil || resp.Secret == nil {
			continue
		}
		if _, err := b.HandleRequest(t.Context(), &logical.Request{
			Operation: logical.RevokeOperation, Path: "token", Storage: storage, MountPoint: testMount, Secret: resp.Secret,
		}); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
}
