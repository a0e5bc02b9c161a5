//go:build e2e

package test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestStoryReaderPolicy: an application may read tokens and nothing else.
func TestStoryReaderPolicy(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "5m"})
	reader := m.clientWith(t, `path "`+m.path+`/token" { capabilities = ["read"] }`)
	for _, c := range []struct {
		name string
		do   func(*api.Logical) (*api.Secret, error)
	}{
		{"read config", func(l *api.Logical) (*api.Secret, error) { return l.Read(m.path + "/config") }},
		{"write config", func(l *api.Logical) (*api.Secret, error) {
			return l.Write(m.path+"/config", map[string]any{"ttl": "1m"})
		}},
		{"patch config", func(l *api.Logical) (*api.Secret, error) {
			return l.JSONMergePatch(context.Background(), m.path+"/config", map[string]any{"ttl": "1m"})
		}},
		{"delete config", func(l *api.Logical) (*api.Secret, error) { return l.Delete(m.path + "/config") }},
		{"list keys", func(l *api.Logical) (*api.Secret, error) { return l.List(m.path + "/keys") }},
		{"read a key", func(l *api.Logical) (*api.Secret, error) { return l.Read(m.path + "/keys/default") }},
		{"delete a key", func(l *api.Logical) (*api.Secret, error) { return l.Delete(m.path + "/keys/default") }},
		{"generate a key", func(l *api.Logical) (*api.Secret, error) { return l.Write(m.path+"/keys/other/generate", nil) }},
		{"import a key", func(l *api.Logical) (*api.Secret, error) { return l.Write(m.path+"/keys/other/import", nil) }},
		{"read info", func(l *api.Logical) (*api.Secret, error) { return l.Read(m.path + "/info") }},
		{"write token", func(l *api.Logical) (*api.Secret, error) { return l.Write(m.path+"/token", nil) }},
		{"delete token", func(l *api.Logical) (*api.Secret, error) { return l.Delete(m.path + "/token") }},
		{"list token", func(l *api.Logical) (*api.Secret, error) { return l.List(m.path + "/token") }},
	} {
		if _, err := c.do(reader.Logical()); err == nil {
			t.Errorf("%s: allowed", c.name)
		} else {
			wantError(t, err, 403)
		}
	}
	lease, err := reader.Logical().Read(m.path + "/token")
	if err != nil {
		t.Fatalf("read token: %v", err)
	}
	if !w.SessionAlive(accessToken(lease)) {
		t.Error("the token is no living session")
	}
	// Vault's default policy lets everybody renew leases.
	if _, err := reader.Sys().Renew(lease.LeaseID, 60); err != nil {
		t.Errorf("renew: %v", err)
	}
	m.revoke(t, lease)
}

// TestStoryAdminPolicy: an administrator sets all up, and can read no secret back.
func TestStoryAdminPolicy(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	m.client = m.clientWith(t, `
path "`+m.path+`/config" { capabilities = ["create", "update", "patch", "read", "delete"] }
path "`+m.path+`/keys" { capabilities = ["list"] }
path "`+m.path+`/keys/*" { capabilities = ["create", "update", "read", "delete", "list"] }
path "`+m.path+`/info" { capabilities = ["read"] }
`)
	key := opensslKey(t)
	answers := map[string]*api.Secret{
		"import":   m.write(t, "keys/imported/import", map[string]any{"private_key": key.private}),
		"generate": m.write(t, "keys/default/generate", nil),
		"config":   m.configure(t, w, nil),
	}
	certificate, _ := answers["generate"].Data["certificate"].(string)
	w.upload(t, certificate)
	l := m.client.Logical()
	patched, err := m.patch(map[string]any{"ttl": "5m"})
	if err != nil {
		t.Fatalf("patch: %v", err)
	}
	answers["patch"] = patched
	for _, path := range []string{"config", "keys/imported", "keys/default", "info"} {
		if answers[path], err = l.Read(m.path + "/" + path); err != nil || answers[path] == nil {
			t.Fatalf("read %s: %v, %v", path, answers[path], err)
		}
	}
	if answers["keys"], err = l.List(m.path + "/keys"); err != nil {
		t.Fatalf("list keys: %v", err)
	}
	// The paths by which a secret could be had elsewhere are none here.
	for _, path := range []string{"keys/default/generate", "keys/imported/import", "keys/default/private_key", "keys/default/export"} {
		if answers[path], err = l.Read(m.path + "/" + path); err == nil && answers[path] != nil {
			t.Errorf("read %s: answered with %d fields", path, len(answers[path].Data))
		}
	}
	lines := strings.Split(strings.TrimSpace(key.private), "\n")
	middle := lines[len(lines)-3] // a line of the private half
	for name, answer := range answers {
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"client_secret", "private_key", "PRIVATE KEY", w.App.ClientSecret, middle} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the answer of %s holds %q", name, secret)
			}
		}
	}
	if got := answers["keys"].Data["keys"]; !slices.Equal(got.([]any), []any{"default", "imported"}) {
		t.Errorf("keys are %v, want default and imported", got)
	}
	_, err = m.readToken("")
	wantError(t, err, 403)
	m.client = m.root
	m.revoke(t, m.token(t, ""))
}
