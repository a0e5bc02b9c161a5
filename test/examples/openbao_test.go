//go:build e2e

package examples

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestOpenBaoPage runs the commands of docs/openbao.md. In a run on Vault, bao is Vault's binary, which knows them too.
func TestOpenBaoPage(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	if err := r.Root.Sys().DeregisterPlugin(&api.DeregisterPluginInput{Name: pluginName, Type: api.PluginTypeSecrets}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "openbao.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := r.newPage(t, "docs/openbao.md", blocksOf(t, string(content)), "/etc/openbao/plugins", r.path("plugins"))
	p.env = []string{
		"BAO_ADDR=" + r.address, "BAO_TOKEN=" + r.Root.Token(), "VAULT_TOKEN=" + r.Root.Token(),
	}
	p.next(t, "bao plugin register")
	p.next(t, "bao plugin reload")
	p.end(t)
}
