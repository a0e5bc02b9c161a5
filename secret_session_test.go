package main

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestRenew(t *testing.T) {
	m, _ := ready(t, map[string]any{settings.FieldTTL: "10m"})
	l := m.readToken(nil)
	steps := []struct {
		after     time.Duration // since the last step
		ttl, max  time.Duration
		increment time.Duration
		renewable bool // again
	}{
		{5 * time.Minute, 10 * time.Minute, 1799 * time.Second, 0, true},
		{10 * time.Minute, 10 * time.Minute, 1799 * time.Second, 0, true},
		{0, 10 * time.Minute, 1799 * time.Second, time.Hour, false}, // of which Vault makes what is left
		{10 * time.Minute, 299 * time.Second, 1799 * time.Second, time.Minute, true},
		{0, 299 * time.Second, 1799 * time.Second, 0, false}, // what is left of the session
		{4*time.Minute + 58*time.Second, time.Second, 1799 * time.Second, 0, false},
	}
	for _, s := range steps {
		m.clock.Advance(s.after)
		l.secret.Increment = s.increment
		resp, err := l.request(logical.RenewOperation)
		if err != nil || resp.IsError() {
			t.Fatalf("renew: %v, %v", resp, err)
		}
		if resp.Secret.TTL != s.ttl || resp.Secret.MaxTTL != s.max || resp.Secret.Renewable != s.renewable {
			t.Errorf("got ttl %s, max %s, renewable %t; want %s, %s, %t",
				resp.Secret.TTL, resp.Secret.MaxTTL, resp.Secret.Renewable, s.ttl, s.max, s.renewable)
		}
		l.secret = resp.Secret // Vault keeps what is returned
	}
	m.clock.Advance(time.Second)
	if resp, err := l.request(logical.RenewOperation); err == nil {
		t.Errorf("renewal at the session's end: got %v, %v; want an error", resp, err)
	}
}

// Vault's clock may put the issue of a lease close to its session's expiry, or behind it. A TTL or a MaxTTL of 0 or less would stand
// for the mount's.
func TestRenewByAClockThatIsAhead(t *testing.T) {
	for _, tt := range []struct {
		left    time.Duration // of the session, when the lease was issued
		max     time.Duration // 0: refused
		ofMount time.Duration // max_ttl of the lease until now; 0: the mount's
	}{
		{left: 10 * time.Second, max: 9 * time.Second},
		{left: 3*time.Second - time.Nanosecond, max: time.Second},
		{left: 2 * time.Second, max: time.Second},
		{left: 2*time.Second - time.Nanosecond},
		{left: time.Second},
		{left: 0},
		{left: -time.Nanosecond},
		{left: -10 * time.Minute},
		{left: -10 * time.Minute, ofMount: time.Minute},
	} {
		t.Run(tt.left.String(), func(t *testing.T) {
			m, _ := ready(t, map[string]any{settings.FieldTTL: "5m"})
			l := m.readToken(nil)
			l.secret.IssueTime = m.clock.Now().Add(30*time.Minute - tt.left)
			l.secret.MaxTTL = tt.ofMount
			resp, err := l.request(logical.RenewOperation)
			if tt.max == 0 {
				if err == nil {
					t.Errorf("got %v with MaxTTL %s, want an error", resp, resp.Secret.MaxTTL)
				}
				return
			}
			if err != nil || resp.IsError() {
				t.Fatalf("renew: %v, %v", resp, err)
			}
			if s := resp.Secret; s.MaxTTL != tt.max || s.TTL < time.Second || s.TTL > s.MaxTTL {
				t.Errorf("got TTL %s and MaxTTL %s, want MaxTTL %s, and a TTL from 1s up to it", s.TTL, s.MaxTTL, tt.max)
			}
		})
	}
}

// The SDK's client answers 0 if its call to Vault has failed: a lease with that as its TTL could not be renewed, ever.
func TestTokenWithoutTheMountsDefaultTTL(t *testing.T) {
	m, w := ready(t, nil)
	m.system.DefaultLeaseTTLVal = 0
	if resp, err := m.request(logical.ReadOperation, "token", nil); err == nil {
		t.Errorf("got %v, want an error", resp)
	}
	if got := w.Stats().Exchanges; got != 0 {
		t.Errorf("exchanges: got %d, want none", got)
	}
	m.readToken(map[string]any{settings.FieldTTL: "1m"}) // needs no default
}

func TestRenewKeepsTheCap(t *testing.T) {
	m, _ := ready(t, map[string]any{settings.FieldTTL: "5m", settings.FieldMaxTTL: "12m"})
	l := m.readToken(nil)
	m.must(logical.DeleteOperation, "config", nil) // a renewal does not need it
	resp, err := l.request(logical.RenewOperation)
	if err != nil || resp.IsError() {
		t.Fatalf("renew: %v, %v", resp, err)
	}
	if resp.Secret.TTL != 5*time.Minute || resp.Secret.MaxTTL != 12*time.Minute {
		t.Errorf("got ttl %s, max %s; want 5m, 12m", resp.Secret.TTL, resp.Secret.MaxTTL)
	}
}

func TestRenewFailsWhenTheSessionIsGone(t *testing.T) {
	gone := map[string]func(m *mount, w *standIn, l *lease){
		"revoked": func(_ *mount, _ *standIn, l *lease) { l.revoke() },
		"logout pending": func(_ *mount, w *standIn, l *lease) {
			w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
			l.revoke()
		},
	}
	for name, end := range gone {
		t.Run(name, func(t *testing.T) {
			m, w := ready(t, map[string]any{settings.FieldTTL: "5m"})
			l := m.readToken(nil)
			end(m, w, l)
			if resp, err := l.request(logical.RenewOperation); err == nil {
				t.Errorf("got %v, %v; want an error", resp, err)
			}
		})
	}
}

// A lease pins its session, host and trust: revocation works whatever has become of config and key since.
func TestRevokeGoesToTheHostThatIssued(t *testing.T) {
	m, w := ready(t, nil)
	l := m.readToken(nil)
	elsewhere := newStandIn(t, m.clock.Now)
	m.write("config", elsewhere.settings(map[string]any{settings.FieldKey: "other", settings.FieldAPIVersion: "v21.0"}))
	m.must(logical.DeleteOperation, "keys/default", nil)
	m.restart()
	l.revoke()
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on after the revocation")
	}
	if got := len(elsewhere.Requests()); got != 0 {
		t.Errorf("requests to the host of the new config: got %d, want none", got)
	}
	requests := w.Requests()
	if got := requests[len(requests)-1].Path; got != "/attask/api/v22.0/logout" {
		t.Errorf("logout: got %s, want the API version of the time of the issue", got)
	}
}

func TestRevokeFaults(t *testing.T) {
	m, _ := ready(t, nil)
	l := m.readToken(nil)
	t.Run("storage", func(t *testing.T) {
		m.storage.Script(storagetest.ReadOnly)
		defer m.storage.Script()
		if _, err := l.request(logical.RevokeOperation); err == nil {
			t.Error("a revocation that was not recorded gave no error")
		}
	})
	for _, field := range []string{internalSession, internalLease} {
		t.Run("lease without "+field, func(t *testing.T) {
			broken := *l
			secret := *l.secret
			secret.InternalData = map[string]any{"secret_type": secretSessionType, internalSession: "s", internalLease: "l"}
			delete(secret.InternalData, field)
			broken.secret = &secret
			if _, err := broken.request(logical.RevokeOperation); err == nil {
				t.Error("got no error")
			}
		})
	}
	l.revoke()
}

// What the periodic job and the unloading do for pending logouts, through the backend.
func TestPendingLogoutsAreRetried(t *testing.T) {
	retries := map[string]func(t *testing.T, m *mount){
		"periodic": func(t *testing.T, m *mount) {
			if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
				t.Errorf("periodic: %v", err)
			}
		},
		"unload": func(t *testing.T, m *mount) { m.backend.Cleanup(t.Context()) },
	}
	for name, retry := range retries {
		t.Run(name, func(t *testing.T) {
			m, w := ready(t, nil)
			l := m.readToken(nil)
			w.Suspend()
			l.revoke()
			if err := w.Resume(); err != nil {
				t.Fatal(err)
			}
			m.clock.Advance(time.Minute)

			m.system.ReplicationStateVal = consts.ReplicationPerformanceStandby
			if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
				t.Errorf("periodic on a standby: %v", err)
			}
			if !w.SessionAlive(l.token()) {
				t.Error("a performance standby logged a session out")
			}
			m.system.ReplicationStateVal = 0
			m.clock.Advance(rememberFor)
			retry(t, m)
			if w.SessionAlive(l.token()) {
				t.Error("the session lives on")
			}
		})
	}
}

// The secret type is part of every lease that is out: if it changed, an upgrade would strand them.
func TestSecretTypeIsFrozen(t *testing.T) {
	m, _ := ready(t, nil)
	l := m.readToken(nil)
	if got, want := l.secret.InternalData["secret_type"], "workfront_session"; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	l.revoke()
}
