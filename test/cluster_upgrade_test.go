//go:build e2e

package test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// nextVersion is the version of the plugin to upgrade to.
const nextVersion = "v99.0.0"

// buildPlugin builds the plugin under another version, into the plugin directory of all nodes.
func buildPlugin(t *testing.T, version string) (file string) {
	t.Helper()
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	file = pluginName + "-" + version
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+version, "-o", filepath.Join(dir, file), "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// upgrade goes to the next version, by the commands of docs/install.md.
func upgrade(t *testing.T, s *survivors, leader *vaultServer) {
	t.Helper()
	old := leader.onePluginProcess(t)
	file := pluginName + "-" + nextVersion
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	leader.cli(t, "plugin", "register", "-sha256="+sum, "-command="+file, "-version="+nextVersion, "secret", pluginName)
	leader.cli(t, "secrets", "tune", "-plugin-version="+nextVersion, s.path+"/")
	if got := s.at(leader).read(t, "info")["version"]; got == nextVersion {
		t.Error("the new version runs before the reload")
	}
	reload := []string{"plugin", "reload", "-type=secret", "-plugin=" + pluginName, "-scope=global"}
	if leader.IsOpenBao() { // its reload knows no type
		reload = slices.Delete(reload, 2, 3)
	}
	leader.cli(t, reload...)
	s.version = nextVersion
	eventually(t, 30*time.Second, func() error {
		if got := s.at(leader).read(t, "info")["version"]; got != nextVersion {
			return fmt.Errorf("version %v runs, want %s", got, nextVersion)
		}
		return nil
	})
	wantGone(t, 30*time.Second, old)
}

// cli runs Vault's command line as root.
func (v *vaultServer) cli(t *testing.T, args ...string) {
	t.Helper()
	command := exec.Command(os.Getenv(envVault), args...)
	command.Env = append(os.Environ(), "VAULT_ADDR="+v.root.Address(), "VAULT_TOKEN="+v.root.Token())
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("vault %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
