package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// Rule: a storage fault is a 500, which is what Vault makes of an error without a code.
func TestStorageFaults(t *testing.T) {
	faults := []struct {
		name string
		on   storagetest.Op
	}{
		{"reads fail", storagetest.Get},
		{"writes fail", storagetest.Put},
		{"deletes fail", storagetest.Delete},
		{"lists fail", storagetest.List},
	}
	requests := []struct {
		op    logical.Operation
		path  string
		data  map[string]any
		fails string // the names of the faults that concern it
	}{
		{logical.ReadOperation, "config", nil, "reads"},
		{logical.UpdateOperation, "config", map[string]any{settings.FieldTTL: "1m"}, "reads writes"},
		{logical.PatchOperation, "config", map[string]any{settings.FieldTTL: "1m"}, "reads writes"},
		{logical.DeleteOperation, "config", nil, "deletes"},
		{logical.ListOperation, "keys/", nil, "lists"},
		{logical.ReadOperation, "keys/default", nil, "reads"},
		{logical.DeleteOperation, "keys/spare", nil, "reads deletes"},
		{logical.UpdateOperation, "keys/new/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)}, "reads writes"},
		{logical.ReadOperation, "token", nil, "reads writes"},
		{logical.ReadOperation, "info", nil, "reads"},
		{logical.ReadOperation, "metrics", nil, "reads lists"},
		{logical.ListOperation, "roles/", nil, "lists"},
		{logical.ReadOperation, "roles/spare", nil, "reads"},
		{logical.UpdateOperation, "roles/spare", map[string]any{settings.FieldTTL: "1m"}, "reads writes"},
		{logical.UpdateOperation, "roles/spare", map[string]any{settings.FieldKey: "spare"}, "reads"},
		{logical.PatchOperation, "roles/spare", map[string]any{settings.FieldTTL: "1m"}, "reads writes"},
		{logical.DeleteOperation, "roles/spare", nil, "deletes"},
		{logical.ReadOperation, "token/spare", nil, "reads writes"},
		{logical.UpdateOperation, "check", nil, "reads"},
		{logical.UpdateOperation, "config", map[string]any{fieldVerify: true}, "reads writes"},
		{logical.ListOperation, "sessions/", nil, "lists"},
		{logical.ReadOperation, "sessions/s", nil, "reads"},
		{logical.DeleteOperation, "sessions/s", nil, "reads"},
		{logical.RollbackOperation, "", nil, "lists"},
	}
	for _, f := range faults {
		for _, r := range requests {
			if !strings.Contains(r.fails, strings.Fields(f.name)[0]) {
				continue
			}
			t.Run(string(r.op)+" "+r.path+", "+f.name, func(t *testing.T) {
				m, w := ready(t, nil)
				m.write("keys/spare/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)})
				m.write("roles/spare", map[string]any{settings.FieldTTL: "1m"})
				m.storage.Script(storagetest.Rule{On: f.on, Then: storagetest.Fail(storagetest.ErrBroken)})
				resp, err := m.request(r.op, r.path, r.data)
				var coded logical.HTTPCodedError
				if err == nil || errors.As(err, &coded) {
					t.Errorf("got %v, %v; want an error without a code", resp, err)
				}
				if alive := w.Stats().Alive; alive != 0 {
					t.Errorf("sessions left behind: got %d, want none", alive)
				}
			})
		}
	}
}

func TestRenewReportsStorageFaults(t *testing.T) {
	m, _ := ready(t, nil)
	l := m.readToken(nil)
	m.storage.Script(storagetest.Rule{On: storagetest.Get, Then: storagetest.Fail(storagetest.ErrBroken)})
	if resp, err := l.request(logical.RenewOperation); err == nil {
		t.Errorf("got %v, want an error", resp)
	}
}

// Damaged entries are faults of storage, whose text holds nothing of them.
func TestDamagedStorage(t *testing.T) {
	damages := []struct {
		name, key string
		damage    func(entry map[string]any) any
		path      string
	}{
		{"config no JSON", settings.ConfigKey, func(map[string]any) any { return nil }, "config"},
		{"key no JSON", settings.KeyPrefix + "default", func(map[string]any) any { return nil }, "keys/default"},
		{"private key damaged", settings.KeyPrefix + "default", func(e map[string]any) any { e["private_key"] = "marked"; return e }, "token"},
		{"certificate damaged", settings.KeyPrefix + "default", func(e map[string]any) any { e["certificate"] = "marked"; return e }, "keys/default"},
	}
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := ready(t, nil)
			var stored map[string]any
			if err := json.Unmarshal([]byte(m.storage.Value(t, tt.key)), &stored); err != nil {
				t.Fatal(err)
			}
			value := "marked"
			if damaged := tt.damage(stored); damaged != nil {
				value = asJSON(t, damaged)
			}
			m.storage.Set(t, tt.key, value)
			m.restart()
			resp, err := m.request(logical.ReadOperation, tt.path, nil)
			if err == nil || strings.Contains(err.Error(), "marked") {
				t.Errorf("got %v, %v; want an error that quotes nothing", resp, err)
			}
		})
	}
}
