//go:build e2e

// Package test drives the built plugin as an operator and an application would: in a real Vault server, by Vault's own
// Go client, against a stand-in for Workfront. Of the project it knows that stand-in alone. The tests named TestStory
// are the core workflow, and run on every Vault version that is supported; the others run on one.
package test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// The environment that the tests are given.
const (
	envVault  = "VAULT_BIN"
	envPlugin = "PLUGIN_BIN"
	envLong   = "WORKFRONT_E2E_LONG" // if set, what goes on for some lifetimes of sessions goes on for many
)

// runDir holds the files of this run: logs, keys, the plugin.
var runDir string

func TestMain(m *testing.M) {
	// Vault's client reads its environment: a developer's own Vault must not get into the tests.
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "VAULT_") && name != envVault {
			_ = os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "workfront-e2e-")
	if err == nil {
		// Vault refuses a plugin directory that is a symbolic link, as macOS' temporary directory is one.
		runDir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	allowWaiting()
	code := m.Run()
	printMeasurements()
	printAttacks()
	stopAllVaults()
	if err := errors.Join(searchEverything()...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		_ = os.RemoveAll(runDir)
	} else {
		fmt.Fprintln(os.Stderr, "the logs of this run are in", runDir)
	}
	os.Exit(code)
}

// allowWaiting lets more parallel tests run than there are processors: they mostly wait for servers and clocks.
func allowWaiting() {
	flag.Parse()
	const name = "test.parallel"
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == name })
	if !asked {
		_ = flag.Set(name, "6")
	}
}

// sharedVault is the server of the tests that do not disturb one another.
func sharedVault(t *testing.T) *vaultServer {
	t.Helper()
	v, err := sharedVaultOnce()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var sharedVaultOnce = sync.OnceValues(startVault)

// ownVault is a server for a test that kills, seals or counts processes.
func ownVault(t *testing.T) *vaultServer {
	t.Helper()
	v, err := startVault()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Stop)
	return v
}

// outgrowYouth waits until sessions that Workfront had returned by then are ten seconds old: that Workfront does not know
// them is believed from then on.
func outgrowYouth(t *testing.T, returned time.Time) {
	t.Helper()
	const youth = 10 * time.Second
	eventually(t, 2*youth, func() error {
		if age := time.Since(returned); age < youth {
			return fmt.Errorf("the session is %s old, want %s", age, youth)
		}
		return nil
	})
}

// eventually fails the test if attempt does not return nil within the limit.
func eventually(t *testing.T, limit time.Duration, attempt func() error) {
	t.Helper()
	if err := vaultserver.Poll(limit, attempt); err != nil {
		t.Fatal(err)
	}
}
