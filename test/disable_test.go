//go:build e2e

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// lastWords is what the log says of a mount that is being disabled, if it leaves sessions behind.
const lastWords = "mount unloaded while tainted"

func (m *mount) disable(t *testing.T) {
	t.Helper()
	if err := m.root.Sys().Unmount(m.path); err != nil {
		t.Errorf("disable: %v", err)
	}
}

// wantLastWords waits for the line that says how many sessions a mount leaves, and until when. There must be but one.
func (v *vaultServer) wantLastWords(t *testing.T, sessions int, after time.Time) {
	t.Helper()
	var lines []string
	eventually(t, 10*time.Second, func() error { // the log of a plugin takes a moment
		if lines = v.logLines(t, lastWords); len(lines) == 0 {
			return errors.New("the log has no last words")
		}
		return nil
	})
	said := regexp.MustCompile(` until=(\S+)`).FindStringSubmatch(lines[0])
	if len(lines) != 1 || said == nil || !strings.Contains(lines[0], "[WARN]") || !regexp.MustCompile(fmt.Sprintf(`sessions=%d\b`, sessions)).MatchString(lines[0]) {
		t.Fatalf("the last words are %q, want one warning of %d sessions and their end", lines, sessions)
	}
	// The index of the ledger, which is where this comes from, knows ends to ten minutes.
	if until, err := time.Parse(time.RFC3339, said[1]); err != nil || until.Before(after) || until.After(after.Add(10*time.Minute)) {
		t.Errorf("they end until %s, want up to ten minutes after %s: %v", until, after, err)
	}
}

// TestDisableInOutage: a mount with many leases is gone in seconds although Workfront is away.
func TestDisableInOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			v := patientVault(t)
			w := startWorkfront(t, 0)
			m := issuing(t, v, w, nil)
			leases := m.mass(t)
			outage(w)
			took := timed(t, "secrets disable, Workfront "+name, func() { m.disable(t) })
			wantFewLogouts(t, w, took, 2) // what is pending is tried by Vault's last rollback, and at the end of the plugin
			if m.isMounted(t) {
				t.Error("the mount is still there")
			}
			m.wantNoLeases(t)
			if err := w.accounts(massLeases()); err != nil {
				t.Error(err)
			}
			latest := time.Time{}
			for _, lease := range leases {
				if end := sessionEnd(t, lease); end.After(latest) {
					latest = end
				}
				w.EndSession(accessToken(lease))
			}
			v.wantLastWords(t, massLeases(), latest)
		})
	}
}

// TestStoryLastWords: what a mount leaves behind is said when it is disabled, and at no other end of the plugin.
func TestStoryLastWords(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	w := startWorkfront(t, 0)
	m := issuing(t, v, w, nil)
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Body: `{"data":{"success":false}}`})
	pending := []*api.Secret{m.token(t, ""), m.token(t, "")}
	leased := m.token(t, "")
	for _, lease := range pending {
		m.revoke(t, lease)
	}
	m.reloadPlugin(t)
	if err := m.root.Sys().Seal(); err != nil {
		t.Fatalf("seal: %v", err)
	}
	if err := m.Unseal(); err != nil {
		t.Fatalf("unseal: %v", err)
	}
	eventually(t, 20*time.Second, func() error { // a lease can be revoked once Vault has restored it
		return m.tryRevoke(leased)
	})
	if lines := v.logLines(t, lastWords); len(lines) > 0 {
		t.Errorf("the mount was not disabled yet, but the log says %s", lines)
	}
	m.disable(t)
	v.wantLastWords(t, 3, sessionEnd(t, leased))
	for _, lease := range append(pending, leased) {
		if !w.EndSession(accessToken(lease)) {
			t.Error("a session that could not be logged out is gone")
		}
	}
}

// TestDisableEndsUnleasedSession: a shared session that was fetched as a replacement, and that nobody has leased yet, has no
// lease whose revocation would end it.
func TestDisableEndsUnleasedSession(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 40*time.Second) // a replacement is due ten seconds before the end
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	m.roleToken(t, sharedRole)
	behave(w, func(b *behaviour) { b.ExchangeDelay = 2 * time.Second }) // time to stop reading before there is a replacement
	eventually(t, 50*time.Second, func() error {
		m.revoke(t, m.roleToken(t, sharedRole))
		if s := w.Stats(); s.Started != 2 {
			return fmt.Errorf("sessions: %+v; want a replacement", s)
		}
		return nil
	})
	eventually(t, 10*time.Second, func() error {
		if n := len(m.sessions(t)); n != 2 {
			return fmt.Errorf("%d sessions are listed, want 2", n)
		}
		return nil
	})
	m.disable(t)
	if s := w.Stats(); s.Alive != 0 || s.LoggedOut < 1 || s.Started != 2 { // the old one may have ended by itself
		t.Errorf("sessions: %+v; want both ended", s)
	}
}

// TestStoryDisableAfterForcedRevocation: while the plugin could not start, leases were revoked by force, so that Vault knows
// none, but the ledger still holds sessions for them. They are logged out when the mount is disabled.
func TestStoryDisableAfterForcedRevocation(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	name := uniqueName(t) // a file of its own, because others go on using theirs
	file := filepath.Join(dir, name)
	content, err := os.ReadFile(filepath.Join(dir, pluginName))
	if err == nil {
		err = os.WriteFile(file, content, 0o700)
	}
	if err == nil {
		err = v.Register(name, name, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	w := startWorkfront(t, 0)
	m := withRoles(t, issuingAs(t, name, v, w, nil))
	leases := []*api.Secret{m.token(t, "")}
	for _, role := range []string{freshRole, sharedRole, sharedRole} {
		leases = append(leases, m.roleToken(t, role))
	}
	if err := os.Rename(file, file+".gone"); err != nil {
		t.Fatal(err)
	}
	v.killPlugin(t)
	err = m.root.Sys().RevokeWithOptions(&api.RevokeOptions{LeaseID: m.path, Prefix: true, Force: true, Sync: true})
	if err != nil {
		t.Fatalf("revoke by force: %v", err)
	}
	m.wantNoLeases(t)
	if err := os.Rename(file+".gone", file); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error { // until Vault has noticed, calls fail
		listed, err := m.root.Logical().List(m.path + "/sessions")
		if err == nil && (listed == nil || len(listed.Data["keys"].([]any)) != 3) {
			t.Fatalf("listed are %v, want 3 sessions", listed)
		}
		return err
	})
	if err := w.accounts(3); err != nil {
		t.Error(err)
	}
	m.disable(t)
	for _, lease := range leases {
		wantDead(t, w, lease)
	}
	if s := w.Stats(); s.LoggedOut != 3 {
		t.Errorf("sessions: %+v; want 3 logged out", s)
	}
	if lines := v.logLines(t, lastWords); len(lines) > 0 {
		t.Errorf("a mount that leaves nothing behind has last words: %s", lines)
	}
}
