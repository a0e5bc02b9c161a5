//go:build e2e

package test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

func TestStoryRevokePrefix(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	other := startWorkfront(t, 0)
	bystander := issuing(t, m.vaultServer, other, nil)
	kept := bystander.token(t, "")

	var leases []*api.Secret
	for range 5 {
		leases = append(leases, m.token(t, ""))
	}
	if err := w.accounts(5); err != nil {
		t.Fatal(err)
	}
	if err := m.root.Sys().RevokeWithOptions(&api.RevokeOptions{LeaseID: m.path + "/token", Prefix: true, Sync: true}); err != nil {
		t.Fatalf("revoke prefix: %v", err)
	}
	for _, lease := range leases {
		wantDead(t, w, lease)
	}
	if s := w.Stats(); s.LoggedOut != 5 || s.Logouts != 5 {
		t.Errorf("sessions: %+v; want 5 logged out by 5 calls", s)
	}
	if !other.SessionAlive(accessToken(kept)) {
		t.Error("the session of another mount was ended too")
	}
	bystander.revoke(t, kept)
}

func TestStoryRevokeParentToken(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	reader := m.clientWith(t, `path "`+m.path+`/token" { capabilities = ["read"] }`)
	for range 2 {
		if _, err := reader.Logical().Read(m.path + "/token"); err != nil {
			t.Fatalf("read token: %v", err)
		}
	}
	kept := m.token(t, "") // a lease of another parent
	if err := m.root.Auth().Token().RevokeTree(reader.Token()); err != nil {
		t.Fatalf("revoke the parent token: %v", err)
	}
	eventually(t, 20*time.Second, func() error { return w.accounts(1) })
	if !w.SessionAlive(accessToken(kept)) {
		t.Error("a session of another parent token was ended")
	}
	m.revoke(t, kept)
}

func TestStoryWrappedRead(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	wrapping, err := m.NewClient(m.root.Token())
	if err != nil {
		t.Fatal(err)
	}
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	wrapped, err := wrapping.Logical().Read(m.path + "/token")
	if err != nil {
		t.Fatalf("wrapped read: %v", err)
	}
	if wrapped.WrapInfo == nil || wrapped.Data != nil || wrapped.LeaseID != "" {
		t.Fatal("the answer to a wrapped read is not wrapped")
	}
	info, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := m.root.Logical().Unwrap(wrapped.WrapInfo.Token)
	if err != nil {
		t.Fatalf("unwrap: %v", err)
	}
	if accessToken(lease) == "" || strings.Contains(string(info), accessToken(lease)) {
		t.Error("the token is not in the unwrapped answer, or in the wrapped one too")
	}
	if !w.SessionAlive(accessToken(lease)) {
		t.Error("the unwrapped token is no living session")
	}
	if _, err := m.root.Logical().Unwrap(wrapped.WrapInfo.Token); err == nil {
		t.Error("the answer can be unwrapped twice")
	}
	m.revoke(t, lease)
	wantDead(t, w, lease)
}

// TestWrappedReadUnclaimed: nobody unwraps, so the lease expires.
func TestWrappedReadUnclaimed(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "2s"})
	wrapping, err := m.NewClient(m.root.Token())
	if err != nil {
		t.Fatal(err)
	}
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	if _, err := wrapping.Logical().Read(m.path + "/token"); err != nil {
		t.Fatalf("wrapped read: %v", err)
	}
	eventually(t, 30*time.Second, func() error { return w.accounts(0) })
}

// TestDisableEndsSessions: `vault secrets disable` revokes what is issued.
func TestDisableEndsSessions(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	for range 5 {
		m.token(t, "")
	}
	if err := m.root.Sys().Unmount(m.path); err != nil {
		t.Fatalf("disable: %v", err)
	}
	if s := w.Stats(); s.Started != 5 || s.LoggedOut != 5 {
		t.Errorf("sessions: %+v; want 5 started and logged out", s)
	}
	if m.isMounted(t) {
		t.Error("the mount is still there")
	}
}

// TestManyReaders reads and revokes at the same time.
func TestManyReaders(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	const readers, rounds = 8, 5
	failures := make(chan error, readers*rounds)
	var running sync.WaitGroup
	for range readers {
		running.Go(func() {
			for range rounds {
				lease, err := m.readToken("")
				if err == nil && !w.SessionAlive(accessToken(lease)) {
					err = errors.New("the token is no living session")
				}
				if err == nil {
					err = m.tryRevoke(lease)
				}
				if err != nil {
					failures <- err
				}
			}
		})
	}
	running.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if s := w.Stats(); s.Started != readers*rounds || s.LoggedOut != readers*rounds {
		t.Errorf("sessions: %+v; want %d started and logged out", s, readers*rounds)
	}
}

// TestSameSessionTwice: Workfront returns one session for two reads. It ends with the second lease.
func TestSameSessionTwice(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	behave(w, func(b *behaviour) { b.SameSession = true })
	m := issuing(t, sharedVault(t), w, nil)
	first, second := m.token(t, ""), m.token(t, "")
	if accessToken(first) != accessToken(second) || first.Data["session_id"] != second.Data["session_id"] {
		t.Fatal("two sessions, want the same one twice")
	}
	m.revoke(t, first)
	if !w.SessionAlive(accessToken(second)) {
		t.Error("the session ended although a lease holds it")
	}
	m.revoke(t, second)
	wantDead(t, w, second)
}
