//go:build e2e

package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// pluginName is what the plugin is registered as, and the type of its mounts.
const pluginName = "vault-plugin-secrets-workfront"

// vaultServer is a Vault server with the plugin in its catalog.
type vaultServer struct {
	*vaultserver.Server
	root *api.Client
}

// vaults are all servers of this run; the logs of those that have ended are searched too.
var vaults struct {
	sync.Mutex
	all []*vaultserver.Server
}

// pluginDir holds a copy of the plugin under the name by which it is registered. All servers use it.
var pluginDir = sync.OnceValues(func() (string, error) {
	path := os.Getenv(envPlugin)
	if path == "" {
		return "", fmt.Errorf("%s is not set: set it to the absolute path of the built plugin (make build)", envPlugin)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", envPlugin, err)
	}
	dir := filepath.Join(runDir, "plugins")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, pluginName), content, 0o700)
})

// startVault starts a server, initialises and unseals it, switches its audit log on and registers the plugin.
func startVault() (*vaultServer, error) {
	s, err := launch(nil)
	if err != nil {
		return nil, err
	}
	if err := s.Initialise(); err != nil {
		return nil, err
	}
	if err := errors.Join(s.EnableAudit(), s.Register(pluginName, pluginName, "")); err != nil {
		return nil, fmt.Errorf("set vault up (its log is %s): %w", s.LogFile(), err)
	}
	return &vaultServer{Server: s, root: s.Root}, nil
}

// launch starts the process of a server, whose logs will be searched when the run is over.
func launch(raft *vaultserver.Raft) (*vaultserver.Server, error) {
	binary := os.Getenv(envVault)
	if binary == "" {
		return nil, fmt.Errorf("%s is not set: set it to the absolute path of a Vault binary (`bin/dev vault 1.21` builds one)", envVault)
	}
	plugins, err := pluginDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(runDir, "v")
	if err != nil {
		return nil, err
	}
	s, err := vaultserver.Start(vaultserver.Options{
		Binary: binary, Dir: dir, PluginDir: plugins, LogLevel: "trace", RawStorage: true, Raft: raft,
		Wrap: func(next http.RoundTripper) http.RoundTripper { return &recorder{next: next} },
	})
	if err != nil {
		return nil, err
	}
	vaults.Lock()
	defer vaults.Unlock()
	vaults.all = append(vaults.all, s)
	// A node that never becomes active makes none.
	return s, os.WriteFile(s.AuditFile(), nil, 0o600)
}

func stopAllVaults() {
	vaults.Lock()
	all := vaults.all
	vaults.Unlock()
	var stopping sync.WaitGroup
	for _, v := range all {
		stopping.Go(v.Stop)
	}
	stopping.Wait()
}

// clientWith makes a client whose token has a policy of these rules, and Vault's default one.
func (v *vaultServer) clientWith(t *testing.T, rules string) *api.Client {
	t.Helper()
	policy := uniqueName(t)
	if err := v.root.Sys().PutPolicy(policy, rules); err != nil {
		t.Fatal(err)
	}
	created, err := v.root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{policy}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := v.NewClient(created.Auth.ClientToken)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// onePluginProcess waits until there is one plugin process, and returns its ID. Vault starts others for a moment, to
// ask the plugin for its version.
func (v *vaultServer) onePluginProcess(t *testing.T) int {
	t.Helper()
	var pids []int
	eventually(t, 20*time.Second, func() error {
		var err error
		if pids, err = v.PluginPIDs(); err == nil && len(pids) != 1 {
			err = fmt.Errorf("there are %d plugin processes, want 1", len(pids))
		}
		return err
	})
	return pids[0]
}
