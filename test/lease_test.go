//go:build e2e

package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

type behaviour = workfronttest.Behaviour

// behave changes the default behaviour of a stand-in.
func behave(w *workfront, change func(*behaviour)) {
	b := workfronttest.DefaultBehaviour()
	change(&b)
	w.SetBehaviour(b)
}

func TestLeaseLife(t *testing.T) {
	t.Parallel()
	const unstated = workfronttest.OmitExpiresIn
	for _, c := range []struct {
		name      string
		session   time.Duration // that Workfront gives
		expiresIn string        // that it states, if not the truth
		settings  map[string]any
		mountTTL  string // the mount's default
		asked     string
		want      time.Duration
		renewable bool
		warned    bool
	}{
		{name: "the session's", session: 30 * time.Minute, want: 30*time.Minute - time.Second},
		{name: "config's ttl", session: 30 * time.Minute, settings: map[string]any{"ttl": "5m"}, want: 5 * time.Minute, renewable: true},
		{name: "the asked one", session: 30 * time.Minute, settings: map[string]any{"ttl": "5m"}, asked: "90s", want: 90 * time.Second, renewable: true},
		{name: "asked for more than config's ttl", session: 30 * time.Minute, settings: map[string]any{"ttl": "5m"}, asked: "10m", want: 10 * time.Minute, renewable: true},
		{name: "asked in plain seconds", session: 30 * time.Minute, asked: "90", want: 90 * time.Second, renewable: true},
		{name: "asked for more than the session", session: 30 * time.Minute, asked: "2h", want: 30*time.Minute - time.Second, warned: true},
		{name: "asked for more than max_ttl", session: 30 * time.Minute, settings: map[string]any{"max_ttl": "2m"}, asked: "10m", want: 2 * time.Minute, warned: true},
		{name: "max_ttl alone", session: 30 * time.Minute, settings: map[string]any{"max_ttl": "2m"}, want: 2 * time.Minute},
		{name: "the mount's default", session: 30 * time.Minute, mountTTL: "3m", want: 3 * time.Minute, renewable: true},
		{name: "a session shorter than ttl", session: 20 * time.Second, settings: map[string]any{"ttl": "5m"}, want: 19 * time.Second},
		{name: "an unstated end is assumed", session: 30 * time.Minute, expiresIn: unstated, settings: map[string]any{"session_ttl": "60s"}, want: 59 * time.Second},
		{name: "expires_in of 0 states nothing", session: 30 * time.Minute, expiresIn: "0", want: 30*time.Minute - time.Second},
		{name: "expires_in as a string", session: 30 * time.Minute, expiresIn: `"600"`, want: 599 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, c.session)
			if c.expiresIn != "" {
				behave(w, func(b *behaviour) { b.ExpiresIn = &c.expiresIn })
			}
			m := issuing(t, sharedVault(t), w, c.settings)
			if c.mountTTL != "" {
				if err := m.root.Sys().TuneMountAllowNil(m.path, api.TuneMountConfigInput{DefaultLeaseTTL: &c.mountTTL}); err != nil {
					t.Fatal(err)
				}
			}
			lease := m.token(t, c.asked)
			got := time.Duration(lease.LeaseDuration) * time.Second
			// A lease that expires with its session loses the seconds that the exchange took.
			if got > c.want || got < c.want-3*time.Second || c.renewable && got != c.want {
				t.Errorf("the lease has %s, want %s", got, c.want)
			}
			if lease.Renewable != c.renewable {
				t.Errorf("renewable is %t, want %t", lease.Renewable, c.renewable)
			}
			if warned := len(lease.Warnings) > 0; warned != c.warned {
				t.Errorf("warnings are %q, want any: %t", lease.Warnings, c.warned)
			}
			if _, ends, _ := m.lookup(t, lease.LeaseID); ends.After(sessionEnd(t, lease)) {
				t.Errorf("the lease expires at %s, after its session at %s", ends, sessionEnd(t, lease))
			}
			m.revoke(t, lease)
			wantDead(t, w, lease)
		})
	}
}

// TestRenewalIsCapped asks for an hour: neither the session's end nor max_ttl can be passed.
func TestRenewalIsCapped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		session  time.Duration
		settings map[string]any
		want     time.Duration
	}{
		{"by the session", 2 * time.Minute, map[string]any{"ttl": "10s"}, 2*time.Minute - time.Second},
		{"by max_ttl", 30 * time.Minute, map[string]any{"ttl": "10s", "max_ttl": "1m"}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, c.session)
			m := issuing(t, sharedVault(t), w, c.settings)
			lease := m.token(t, "")
			if _, err := m.root.Sys().Renew(lease.LeaseID, 20); err != nil { // what it stores must not widen the next
				t.Fatalf("renew: %v", err)
			}
			for _, renewable := range []bool{true, false} { // a lease that reaches its limit cannot be made longer
				renewed, err := m.root.Sys().Renew(lease.LeaseID, 3600)
				if renewable != (err == nil) {
					t.Fatalf("renew: %v, want it to be renewable: %t", err, renewable)
				}
				if renewable {
					got := time.Duration(renewed.LeaseDuration) * time.Second
					if got > c.want || got < c.want-5*time.Second || renewed.Renewable {
						t.Errorf("renewed for %s, renewable %t; want %s at most, and nearly that, and false", got, renewed.Renewable, c.want)
					}
				}
				if _, ends, _ := m.lookup(t, lease.LeaseID); ends.After(sessionEnd(t, lease)) {
					t.Errorf("the lease expires at %s, after its session at %s", ends, sessionEnd(t, lease))
				}
			}
			m.revoke(t, lease)
			wantDead(t, w, lease)
		})
	}
}

// TestRenewalWithoutIncrement extends by the TTL that the lease was issued for.
func TestRenewalWithoutIncrement(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	lease := m.token(t, "120s")
	m.write(t, "config", map[string]any{"ttl": "7m"}) // must not matter
	renewed, err := m.root.Sys().Renew(lease.LeaseID, 0)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	if renewed.LeaseDuration != 120 {
		t.Errorf("renewed for %d s, want 120", renewed.LeaseDuration)
	}
	m.revoke(t, lease)
}

// TestRenewalUntilTheEnd renews as long as it goes: never past the session, which is logged out in the end.
func TestRenewalUntilTheEnd(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 8*time.Second)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "3s"})
	lease := m.token(t, "")
	end := sessionEnd(t, lease)
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	renewals := 0
	for {
		renewed, err := m.root.Sys().Renew(lease.LeaseID, 3)
		if err != nil {
			wantError(t, err, 400)
			break
		}
		if last := time.Now().Add(time.Duration(renewed.LeaseDuration) * time.Second); last.After(end.Add(time.Second)) {
			t.Fatalf("renewed until %s, but the session ends at %s", last, end)
		}
		renewals++
		<-again.C
	}
	if now := time.Now(); renewals < 3 || now.After(end.Add(time.Second)) {
		t.Errorf("%d renewals until %s, want some, and none after the end of the session at %s", renewals, now, end)
	}
	eventually(t, 20*time.Second, func() error { return w.accounts(0) })
}

// TestRenewalWithoutSession takes the record of the session out of storage, as a restored backup may lack it.
func TestRenewalWithoutSession(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "5m"})
	lease := m.token(t, "")
	id, _ := lease.Data["session_id"].(string)
	if got := m.list(t, "session"); !slices.Equal(got, []string{id}) {
		t.Fatalf("the records of sessions are %q, want %q", got, id)
	}
	m.drop(t, "session/"+id)
	_, err := m.root.Sys().Renew(lease.LeaseID, 60)
	wantError(t, err, 400, "session", "read a new token")
	m.revoke(t, lease) // there is nothing left to do for it, which is no error
	if !w.EndSession(accessToken(lease)) {
		t.Error("the session was ended by nobody, but is not alive")
	}
	// Ended before and lost cannot be told apart, so the log is all that shows it.
	eventually(t, 10*time.Second, func() error { // the log of a plugin takes a moment
		lines := m.logLines(t, "[DEBUG]", "revoked a lease whose session is not in the ledger", "session_id="+id, "base_url="+w.URL())
		if n := len(lines); n != 1 {
			return fmt.Errorf("the log has %d lines of the session that was lost, want 1", n)
		}
		return nil
	})
	// The index that leads to the record would be cleared by the periodic job.
	for _, bucket := range m.list(t, "expiry") {
		m.drop(t, "expiry/"+bucket+id)
	}
}

// drop deletes from the plugin's storage.
func (m *mount) drop(t *testing.T, key string) {
	t.Helper()
	if _, err := m.root.Logical().Delete(m.storage(t) + "/" + key); err != nil {
		t.Fatalf("delete from storage: %v", err)
	}
}

// TestLeaseExpires: nobody revokes, Vault does when the time is over.
func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	lease := m.token(t, "2s")
	if !w.SessionAlive(accessToken(lease)) {
		t.Fatal("the session is not alive")
	}
	eventually(t, 30*time.Second, func() error { return w.accounts(0) })
	if s := w.Stats(); s.LoggedOut != 1 {
		t.Errorf("sessions: %+v; want 1 logged out, long before its own end", s)
	}
}

// TestBatchTokenCapsLease: a lease of a batch token cannot outlive it, nor be renewed.
func TestBatchTokenCapsLease(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	policy := uniqueName(t)
	if err := m.root.Sys().PutPolicy(policy, `path "`+m.path+`/token" { capabilities = ["read"] }`); err != nil {
		t.Fatal(err)
	}
	created, err := m.root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{policy}, TTL: "60s", Type: "batch"})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := m.NewClient(created.Auth.ClientToken)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := batch.Logical().Read(m.path + "/token")
	if err != nil {
		t.Fatalf("read token: %v", err)
	}
	if lease.LeaseDuration > 60 || lease.Renewable {
		t.Errorf("the lease has %d s and is renewable: %t; want 60 s at most, and false", lease.LeaseDuration, lease.Renewable)
	}
	m.revoke(t, lease)
	if strings.HasPrefix(created.Auth.ClientToken, "hvs.") {
		t.Error("the token is no batch token")
	}
}
