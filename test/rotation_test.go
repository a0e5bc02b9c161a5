//go:build e2e

package test

import (
	"slices"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// constantly has readers read both roles of a mount while do changes things. Not one read may fail.
func constantly(t *testing.T, m *mount, w *workfront, do func(settle func())) {
	t.Helper()
	const n = 3
	shared := m.startReaders(n, 20*time.Millisecond, sharedRole, m.useShared(w, n))
	fresh := m.startReaders(n, 20*time.Millisecond, freshRole, m.useFresh(w))
	settle := func() {
		shared.wait(t)
		fresh.wait(t)
	}
	defer func() {
		took := append(slices.Clone(shared.finish(t)), fresh.finish(t)...)
		measured("%s: %d reads", t.Name(), len(took))
	}()
	settle()
	do(settle)
	settle()
}

// wantAllGone ends all leases, and what is shared and not leased, and checks the balance.
func (m *mount) wantAllGone(t *testing.T, w *workfront) {
	t.Helper()
	m.wantBalance(t, w)
	m.revokeAll(t)
	m.wantBalance(t, w)
	m.delete(t, "roles/"+sharedRole) // ends what nobody has leased yet
	m.wantBalance(t, w)
}

// TestStoryRotateKey: the four calls of a rotation, and the one that rolls it back, while tokens are read.
func TestStoryRotateKey(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	generate := func(name string) (fingerprint string) {
		t.Helper()
		certificate, _ := m.write(t, "keys/"+name+"/generate", nil).Data["certificate"].(string)
		return w.upload(t, certificate)
	}
	old := generate("default")
	m.configure(t, w, field("ttl", "5m"))
	withRoles(t, m)
	switchTo := func(name string) {
		t.Helper()
		before := sessionID(m.roleToken(t, sharedRole))
		if _, err := m.patch(map[string]any{"key": name, "verify_connection": true}); err != nil {
			t.Fatalf("patch: %v", err)
		}
		if sessionID(m.roleToken(t, sharedRole)) == before {
			t.Errorf("the session that was made with the old key is still issued after the change to key %s", name)
		}
	}
	constantly(t, m, w, func(settle func()) {
		generate("2027")
		settle()
		if checked := m.write(t, "check", field("key", "2027")).Data; checked["ok"] != true {
			t.Errorf("check: %v, want ok", checked)
		}
		settle()
		switchTo("2027")
		settle()
		switchTo("default") // the roll-back
		settle()
		switchTo("2027")
		settle()
		// The old key is not needed any more: not at Workfront, not in Vault.
		if err := w.RemovePublicKey(w.App.ClientID, old); err != nil {
			t.Fatal(err)
		}
		settle()
		m.delete(t, "keys/default")
		settle()
	})
	m.wantAllGone(t, w)
}

// TestStoryRotateClientSecret: Workfront holds two for a while.
func TestStoryRotateClientSecret(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	constantly(t, m, w, func(settle func()) {
		before := sessionID(m.roleToken(t, sharedRole))
		secret, err := w.AddSecret(w.App.ClientID)
		if err != nil {
			t.Fatal(err)
		}
		leaks.addClientSecret(secret)
		settle()
		m.write(t, "config", map[string]any{"client_secret": secret, "verify_connection": true})
		settle()
		if err := w.RemoveSecret(w.App.ClientID, w.App.ClientSecret); err != nil {
			t.Fatal(err)
		}
		settle()
		if sessionID(m.roleToken(t, sharedRole)) != before {
			t.Error("the shared session was replaced, but a session does not depend on the secret that it was started with")
		}
	})
	m.wantAllGone(t, w)
}

// TestRotateUnderSlowExchanges: while Workfront takes its time, a change of key makes readers of a shared role wait, not
// fail, and each of them gets a session that was made with the new key.
func TestRotateUnderSlowExchanges(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	second := workfronttest.User{ID: workfronttest.NewID(), Name: "Second", EmailAddr: "second@example.com"}
	if err := w.AddUser(second); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddPublicKey(w.App.ClientID, second.ID, opensslKey(t).certificate); err != nil {
		t.Fatal(err)
	}
	constantly(t, m, w, func(settle func()) {
		behave(w, func(b *behaviour) { b.ExchangeDelay = 500 * time.Millisecond })
		for _, user := range []string{second.ID, w.User.ID, second.ID} {
			if _, err := m.patch(field("user_id", user)); err != nil {
				t.Fatalf("patch: %v", err)
			}
			if got := m.roleToken(t, sharedRole).Data["user_id"]; got != user {
				t.Errorf("the token is of user %v, want %s", got, user)
			}
			settle()
		}
		behave(w, func(*behaviour) {})
	})
	m.wantAllGone(t, w)
}
