//go:build e2e

package test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestStoryFIPSMode: with GODEBUG=fips140=only in the plugin catalog, every algorithm that FIPS 140-3 does not approve
// is an error or a panic. The core workflow needs none.
func TestStoryFIPSMode(t *testing.T) {
	t.Parallel()
	v := sharedVault(t)
	w := startWorkfront(t, 0)
	plugins, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(plugins, pluginName))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	// Under a name of its own: one process serves all mounts of a name.
	name := pluginName + "-fips"
	err = v.root.Sys().RegisterPlugin(&api.RegisterPluginInput{
		Name: name, Type: api.PluginTypeSecrets, Command: pluginName, SHA256: hex.EncodeToString(sum[:]),
		Env: []string{"GODEBUG=fips140=only"},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := enableAs(t, name, v, uniqueName(t), w)
	if got := m.read(t, "info")["fips140"]; got != true {
		t.Fatalf("fips140 is %v, want true", got)
	}
	m.write(t, "keys/default/generate", nil)
	certificate, _ := m.read(t, "keys/default")["certificate"].(string)
	w.upload(t, certificate)
	m.configure(t, w, map[string]any{"ttl": "5m", "verify_connection": true})
	checked := m.write(t, "check", nil).Data
	if checked["ok"] != true {
		t.Errorf("check answers %v", checked)
	}
	useToken(t, m, w)

	key := opensslKey(t)
	m.write(t, "keys/imported/import", map[string]any{"private_key": key.private, "certificate": key.certificate})
	w.upload(t, key.certificate)
	m.write(t, "roles/shared", map[string]any{"key": "imported", "share_session": true})
	shared := m.roleToken(t, "shared")
	m.revoke(t, shared)
	wantDead(t, w, shared)
}
