package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/settings"
)

// FuzzDecodeStored puts anything into storage, where a restored snapshot, another version of the plugin or a disk may have put
// it. It looks for panics, for secrets in errors, and for config and roles that cannot be deleted and written anew.
func FuzzDecodeStored(f *testing.F) {
	m := newFuzzedMount(f)
	kinds := []string{
		"config", "keys/default", "roles/shared", "session/{session}", "shared/config", "shared/roles/shared", "lease/{session}/", "expiry/0/", "pending/", "%s",
	}
	for kind, key := range kinds {
		valid := m.entries[m.named(key, false)]
		for word, value := range m.words {
			quoted, _ := json.Marshal(value)
			valid = strings.ReplaceAll(valid, string(quoted[1:len(quoted)-1]), word)
		}
		f.Add(uint8(kind), "00000000000000000000000000000000", []byte(valid))
		f.Add(uint8(kind), "x", []byte(`{"version":"1"}`))
	}
	for _, seed := range []struct {
		kind  uint8
		value string
	}{
		{0, `{"ttl":-9223372036854775808,"max_ttl":-1,"share_session":true}`},
		{0, `{"base_url":"{base_url}","ca_cert":"x","client_secret":{"a":"` + fuzzedMark + `"},"user_id":"u","max_retries":-1}`},
		{1, `{"private_key":"{private_key}","certificate":"` + fuzzedMark + `"}`},
		{2, `null`},
		{3, `{"version":3,"state":"ending","lease":"own-00"}`},
		{3, `{"token":"a\r\nb","endpoint":{"base_url":"{base_url}","api_version":"\u0000"},"expires_at":"9999-01-01T00:00:00Z"}`},
		{5, `{"session_id":"../config","source":""}`},
	} {
		f.Add(seed.kind, "", []byte(seed.value))
	}
	for _, page := range []string{`{}`, `{"version":3,"left":"0000000000000003"}`, `{"version":3,"left":"f"}`, `{"version":4}`} {
		f.Add(uint8(6), "0001020304050607.2", []byte(page))
	}
	f.Fuzz(func(t *testing.T, kind uint8, name string, value []byte) {
		b, storage := m.backend(t)
		key := m.named(kinds[int(kind)%len(kinds)], false)
		if strings.HasSuffix(key, "/") {
			key += name
		}
		key = strings.ReplaceAll(key, "%s", name)
		text := m.named(string(value), true)
		if err := storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(text)}); err != nil {
			if !errors.Is(err, logical.ErrRelativePath) {
				t.Fatal(err)
			}
			return
		}
		if !m.staysAtHome([]byte(text)) {
			return
		}
		send := func(op logical.Operation, path string, data map[string]any) int {
			status, resp, err := m.send(t, b, &logical.Request{Operation: op, Path: path, Data: data, Storage: storage, MountPoint: testMount})
			if strings.Contains(fmt.Sprint(resp, err), fuzzedMark) && strings.Contains(text, `"client_secret":`) {
				t.Errorf("%s %q, with %q as %q: what may be a secret is in %v, %v", op, path, text, key, resp, err)
			}
			return status
		}
		for _, path := range []string{"config", "keys/default", "roles/shared", "sessions/" + m.sessionID, "info", "token", "token/shared"} {
			send(logical.ReadOperation, path, nil)
		}
		for _, path := range []string{"keys/", "roles/", "sessions/"} {
			if status := send(logical.ListOperation, path, nil); status != 0 {
				t.Errorf("list %s, with %q as %q: status %d", path, text, key, status)
			}
		}
		send(logical.PatchOperation, "config", map[string]any{settings.FieldTTL: "1m"})
		send(logical.PatchOperation, "roles/shared", map[string]any{settings.FieldTTL: "1m"})
		send(logical.UpdateOperation, "check", nil)
		for _, op := range []logical.Operation{logical.RenewOperation, logical.RevokeOperation} {
			secret := &logical.Secret{InternalData: map[string]any{"secret_type": secretSessionType}}
			for name, value := range m.lease {
				secret.InternalData[name] = value
			}
			secret.IssueTime = m.clock.Now()
			_, err := b.HandleRequest(t.Context(), &logical.Request{Operation: op, Path: "token", Storage: storage, MountPoint: testMount, Secret: secret})
			if err != nil {
				m.wantNoSecret(t, &logical.Request{Operation: op}, err.Error())
			}
		}
		send(logical.DeleteOperation, "sessions/"+m.sessionID, nil)
		send(logical.RollbackOperation, "", nil)
		for path, data := range map[string]map[string]any{"roles/shared": {settings.FieldTTL: "1m"}, "config": m.workfront.settings(nil)} {
			if status := send(logical.DeleteOperation, path, nil); status != 0 {
				t.Errorf("delete %s, with %q as %q: status %d", path, text, key, status)
			}
			if status := send(logical.UpdateOperation, path, data); status != 0 {
				t.Errorf("write %s anew, with %q as %q: status %d", path, text, key, status)
			}
		}
	})
}

// staysAtHome tells whether an entry leads no request anywhere but to the stand-in.
func (m *fuzzedMount) staysAtHome(value []byte) bool {
	var c settings.Config
	var r ledger.Session
	// As the plugin does it: something may follow.
	_, _ = json.NewDecoder(bytes.NewReader(value)).Decode(&c), json.NewDecoder(bytes.NewReader(value)).Decode(&r)
	home := []string{"", m.workfront.URL()}
	return slices.Contains(home, c.BaseURL) && slices.Contains(home, r.Endpoint.BaseURL)
}
