//go:build e2e

package test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestAttackReadKey: nobody can read a private key, a client secret or another's session, not even with all that a policy
// can give on the mount: every operation is tried on every path, and on those where other engines keep such a thing. The
// answers are searched for what the run knows as secret (send), and for what any private key looks like.
func TestAttackReadKey(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	m.write(t, "roles/mine", nil)
	v := newVictim(t, m, w)
	lease := m.token(t, "")
	all := m.clientWith(t, `path "`+m.path+`/*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }`)
	// What some paths may do by their nature, and what is shown elsewhere.
	ends := map[string]bool{"DELETE config": true, "DELETE roles/mine": true}
	for _, path := range []string{
		"", "config", "config/", "config/client_secret", "keys", "keys/", "keys/default", "keys/default/", "keys/default/generate", "keys/default/import",
		"keys/default/export", "keys/default/private_key", "keys/default/private", "keys/default/pem", "keys/default/key", "keys/default/1", "keys/default/backup",
		"keys/default/sign", "keys/default/rotate", "export/signing-key/default", "backup/default", "sign/default", "raw/keys/default", "roles/mine",
		"roles/mine/key", "sessions", "sessions/" + sessionID(lease), "sessions/" + sessionID(lease) + "/token", "sessions/../keys/default", "info", "debug/pprof/heap",
		"metrics", "storage/keys/default", "shared/config", "session/" + sessionID(lease), "lease/" + sessionID(lease), "token/mine/keys/default", ".well-known/keys",
	} {
		for _, r := range []rawRequest{
			{method: "GET"},
			{method: "LIST"},
			{method: "DELETE"},
			{method: "HEAD"},
			{method: "OPTIONS"},
			{method: "SCAN"},
			{method: "TRACE"},
			{method: "PUT", body: `{"exportable":true}`},
			{method: "POST", body: `{"export":true,"private_key":null}`},
			{method: "PATCH", body: `{"exportable":true,"private_key":""}`, header: patchHeader},
			{method: "GET", path: "?help=1"},
			{method: "GET", path: "?list=true"},
			{method: "GET", path: "?exportable=true&type=private&client_secret=true"},
		} {
			name := r.method + " " + path + r.path
			if ends[name] || strings.HasSuffix(path, sessionID(lease)) && r.method == "DELETE" {
				continue
			}
			r.path = path + r.path
			v.glance(t, name, func(t *testing.T) {
				_, answer := v.send(t, all, r) // which searches it
				if strings.Contains(answer, accessToken(lease)) || strings.Contains(answer, "PRIVATE KEY") && !strings.Contains(answer, "-----BEGIN PRIVATE KEY-----`") {
					t.Error("a session or a private key is read")
				}
			})
		}
	}
	// What Vault itself says of the mount.
	aboutMounts := m.clientWith(t, `
path "`+m.path+`/*" { capabilities = ["read"] }
path "sys/internal/*" { capabilities = ["read", "sudo"] }
path "sys/mounts/*" { capabilities = ["read", "sudo"] }
path "sys/plugins/*" { capabilities = ["read", "sudo"] }
`)
	for _, path := range []string{
		"sys/internal/specs/openapi", "sys/internal/ui/mounts/" + m.path, "sys/mounts/" + m.path, "sys/mounts/" + m.path + "/tune",
		"sys/plugins/catalog/secret/" + pluginName + "?version=" + url.QueryEscape(m.read(t, "info")["version"].(string)),
	} {
		v.glance(t, path, func(t *testing.T) {
			status, answer := v.send(t, aboutMounts, rawRequest{method: http.MethodGet, path: path, outside: true}) // which searches it
			if status != http.StatusOK {
				t.Errorf("status %d, so there was nothing to search: %s", status, answer)
			}
			if strings.Contains(answer, w.App.ClientSecret) || strings.Contains(answer, accessToken(lease)) {
				t.Error("the client secret or a session is read")
			}
		})
	}
	v.issues(t)
	m.revoke(t, lease)
}
