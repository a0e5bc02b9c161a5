//go:build e2e

package test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// TestStoryPluginKilled kills the plugin between issue and revocation: what must survive is in storage.
func TestStoryPluginKilled(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, ownVault(t), w, map[string]any{"ttl": "5m"})
	renewed, revoked := m.token(t, ""), m.token(t, "")
	old := m.killPlugin(t)
	// Until Vault has noticed, calls fail.
	eventually(t, 30*time.Second, func() error { return m.tryRevoke(revoked) })
	wantDead(t, w, revoked)
	if now := m.onePluginProcess(t); now == old {
		t.Error("the plugin was not killed")
	}
	if _, err := m.root.Sys().Renew(renewed.LeaseID, 60); err != nil {
		t.Errorf("renew: %v", err)
	}
	if !w.SessionAlive(accessToken(renewed)) {
		t.Error("a session that was not revoked has ended")
	}
	m.revoke(t, renewed)
	m.revoke(t, m.token(t, ""))
}

// killPlugin kills the plugin process, of which it returns the ID, so that it can finish nothing.
func (v *vaultServer) killPlugin(t *testing.T) (pid int) {
	t.Helper()
	pid = v.onePluginProcess(t)
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestPluginEndsWithVault kills Vault: the plugin, which holds secrets, does not stay behind.
func TestPluginEndsWithVault(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	if err := v.root.Sys().Mount(uniqueName(t), &api.MountInput{Type: pluginName}); err != nil {
		t.Fatal(err)
	}
	plugin := v.onePluginProcess(t)
	v.Kill()
	wantGone(t, 30*time.Second, plugin)
}

// wantGone waits until processes have ended.
func wantGone(t *testing.T, limit time.Duration, pids ...int) {
	t.Helper()
	eventually(t, limit, func() error {
		for _, pid := range pids {
			// Nobody may have collected what has ended.
			state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
			if err == nil && !strings.HasPrefix(string(state), "Z") {
				return fmt.Errorf("process %d lives", pid)
			}
		}
		return nil
	})
}

// reloadPlugin has Vault start the plugin anew.
func (v *vaultServer) reloadPlugin(t *testing.T) {
	t.Helper()
	if _, err := v.root.Sys().ReloadPlugin(&api.ReloadPluginInput{Plugin: pluginName}); err != nil {
		t.Fatalf("reload: %v", err)
	}
}

func TestStoryPluginReloaded(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, ownVault(t), w, map[string]any{"ttl": "5m"})
	old := m.onePluginProcess(t)
	lease := m.token(t, "")
	m.reloadPlugin(t)
	if !w.SessionAlive(accessToken(lease)) {
		t.Error("the reload ended a session that is issued")
	}
	if _, err := m.root.Sys().Renew(lease.LeaseID, 60); err != nil {
		t.Errorf("renew: %v", err)
	}
	if now := m.onePluginProcess(t); now == old {
		t.Error("the plugin was not started anew")
	}
	m.revoke(t, lease)
	wantDead(t, w, lease)
	m.revoke(t, m.token(t, ""))
}

func TestStoryVaultSealed(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, ownVault(t), w, map[string]any{"ttl": "5m"})
	lease := m.token(t, "")
	if err := m.root.Sys().Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	_, err := m.readToken("")
	wantError(t, err, 503, "sealed")
	if !w.SessionAlive(accessToken(lease)) {
		t.Error("the seal ended a session that is issued")
	}
	if err := m.Unseal(); err != nil {
		t.Fatalf("unseal: %v", err)
	}
	if _, err := m.root.Sys().Renew(lease.LeaseID, 60); err != nil {
		t.Errorf("renew: %v", err)
	}
	m.revoke(t, lease)
	wantDead(t, w, lease)
	m.revoke(t, m.token(t, ""))
}

// TestStoryTwoMountsOneProcess: two applications, one process, nothing shared.
func TestStoryTwoMountsOneProcess(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	w1, w2 := startWorkfront(t, 0), startWorkfront(t, 0)
	m1, m2 := issuing(t, v, w1, nil), issuing(t, v, w2, nil)
	first, second := m1.token(t, ""), m2.token(t, "")
	v.onePluginProcess(t)
	if !w1.SessionAlive(accessToken(first)) || !w2.SessionAlive(accessToken(second)) {
		t.Error("a mount's token is no session of its own application")
	}
	if w1.SessionAlive(accessToken(second)) || w2.SessionAlive(accessToken(first)) {
		t.Error("a mount's token is a session of the other's application")
	}
	m1.revoke(t, first)
	if !w2.SessionAlive(accessToken(second)) {
		t.Error("the revocation in one mount ended a session of the other")
	}
	// What one mount changes is nothing to the other.
	m1.delete(t, "config")
	_, err := m1.readToken("")
	wantError(t, err, 400, "not configured")
	m2.revoke(t, second)
	m2.revoke(t, m2.token(t, ""))
	v.onePluginProcess(t)
}

// TestLeaseKeepsItsHost changes all that a lease was made from. Its revocation goes to the host that issued it, which
// only the CA pinned with it lets it trust, and to no other.
func TestLeaseKeepsItsHost(t *testing.T) {
	t.Parallel()
	v := ownVault(t) // to reload one mount, Vault kills the process that serves all of them
	issuer, other := startWorkfront(t, 0), startWorkfront(t, 0)
	for _, c := range []struct {
		name   string
		change func(t *testing.T, m *mount)
	}{
		{"config changed", func(t *testing.T, m *mount) { m.configure(t, other, nil) }},
		{"config deleted", func(t *testing.T, m *mount) { m.delete(t, "config") }},
		{"key changed and deleted", func(t *testing.T, m *mount) {
			m.write(t, "keys/new/generate", nil)
			m.write(t, "config", map[string]any{"key": "new"})
			m.delete(t, "keys/default")
		}},
		{"all deleted, plugin reloaded", func(t *testing.T, m *mount) {
			m.delete(t, "config")
			m.delete(t, "keys/default")
			if _, err := m.root.Sys().ReloadPlugin(&api.ReloadPluginInput{Mounts: []string{m.path + "/"}}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := enable(t, v, uniqueName(t), issuer, other)
			public, _ := m.write(t, "keys/default/generate", nil).Data["public_key"].(string)
			issuer.upload(t, public)
			m.configure(t, issuer, map[string]any{"ttl": "5m"})
			lease := m.token(t, "")
			c.change(t, m)
			if _, err := m.root.Sys().Renew(lease.LeaseID, 60); err != nil {
				t.Errorf("renew: %v", err)
			}
			m.revoke(t, lease)
			wantDead(t, issuer, lease)
			if n := len(other.Requests()); n > 0 {
				t.Errorf("the other host got %d requests, want none", n)
			}
		})
	}
}

// TestTokenAfterKeyRotation: a new key works from the moment that config names it.
func TestTokenAfterKeyRotation(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	generate := func(name string) (fingerprint string) {
		certificate, _ := m.write(t, "keys/"+name+"/generate", nil).Data["certificate"].(string)
		return w.upload(t, certificate)
	}
	old := generate("default")
	m.configure(t, w, nil)
	before := m.token(t, "")
	generate("2027")
	if _, err := m.patch(map[string]any{"key": "2027"}); err != nil {
		t.Fatalf("patch: %v", err)
	}
	if err := w.RemovePublicKey(w.App.ClientID, old); err != nil {
		t.Fatal(err)
	}
	after := m.token(t, "") // the stand-in knows only the new key by now
	m.delete(t, "keys/default")
	m.revoke(t, before)
	m.revoke(t, after)
}
