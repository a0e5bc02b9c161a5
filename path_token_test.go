package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// expiresIn makes Workfront state that life of a session, as raw JSON.
func (w *standIn) expiresIn(raw string) {
	b := workfronttest.DefaultBehaviour()
	b.ExpiresIn = &raw
	w.SetBehaviour(b)
}

// Rule of the lease: it never outlives its session, less one second, whatever is asked and configured.
func TestTokenTTL(t *testing.T) {
	tests := []struct {
		name      string
		config    map[string]any
		asked     any
		expiresIn string // of the session; 1800 if empty
		ttl, max  time.Duration
		renewable bool
		warning   string
	}{
		{name: "the mount's default is longer than the session", ttl: 1799 * time.Second, max: 1799 * time.Second},
		{name: "configured", config: map[string]any{settings.FieldTTL: "5m"}, ttl: 5 * time.Minute, max: 1799 * time.Second, renewable: true},
		{name: "configured with a cap", config: map[string]any{settings.FieldTTL: "5m", settings.FieldMaxTTL: "10m"}, ttl: 5 * time.Minute, max: 10 * time.Minute, renewable: true},
		{name: "only a cap", config: map[string]any{settings.FieldMaxTTL: "10m"}, ttl: 10 * time.Minute, max: 10 * time.Minute},
		{name: "asked", config: map[string]any{settings.FieldTTL: "5m"}, asked: "90s", ttl: 90 * time.Second, max: 1799 * time.Second, renewable: true},
		{name: "asked for more than the cap", config: map[string]any{settings.FieldMaxTTL: "10m"}, asked: "15m", ttl: 10 * time.Minute, max: 10 * time.Minute, warning: "max_ttl"},
		{name: "asked for more than the session", asked: "2h", ttl: 1799 * time.Second, max: 1799 * time.Second, warning: "session"},
		{name: "short session", config: map[string]any{settings.FieldTTL: "5m"}, expiresIn: "60", ttl: 59 * time.Second, max: 59 * time.Second},
		{name: "rounded down", expiresIn: "60.9", ttl: 59 * time.Second, max: 59 * time.Second},
		{name: "shortest session", expiresIn: "2", ttl: time.Second, max: time.Second},
		{name: "a string", expiresIn: `"120"`, ttl: 119 * time.Second, max: 119 * time.Second},
		{name: "none stated", expiresIn: "0", config: map[string]any{settings.FieldSessionTTL: "10m"}, ttl: 599 * time.Second, max: 599 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, w := ready(t, tt.config)
			m.system.DefaultLeaseTTLVal, m.system.MaxLeaseTTLVal = 768*time.Hour, 768*time.Hour
			if tt.expiresIn != "" {
				w.expiresIn(tt.expiresIn)
			}
			data := map[string]any{}
			if tt.asked != nil {
				data[settings.FieldTTL] = tt.asked
			}
			l := m.readToken(data)
			if l.secret.TTL != tt.ttl || l.secret.MaxTTL != tt.max || l.secret.Renewable != tt.renewable {
				t.Errorf("got ttl %s, max %s, renewable %t; want %s, %s, %t", l.secret.TTL, l.secret.MaxTTL, l.secret.Renewable, tt.ttl, tt.max, tt.renewable)
			}
			warnings := strings.Join(l.raw.Warnings, "\n")
			if (tt.warning == "") != (warnings == "") || !strings.Contains(warnings, tt.warning) {
				t.Errorf("warnings: got %q, want %q", warnings, tt.warning)
			}
			l.revoke()
		})
	}
}

// A lease that reaches the mount's maximum cannot be made longer either.
func TestLeaseAtTheMaximumOfTheMount(t *testing.T) {
	m, _ := ready(t, map[string]any{settings.FieldTTL: "10m"})
	m.system.MaxLeaseTTLVal = 10 * time.Minute
	if l := m.readToken(nil); l.secret.TTL != 10*time.Minute || l.secret.Renewable {
		t.Errorf("got ttl %s, renewable %t; want 10m, false", l.secret.TTL, l.secret.Renewable)
	}
	if l := m.readToken(map[string]any{settings.FieldTTL: "9m"}); !l.secret.Renewable {
		t.Error("a lease below the mount's maximum is not renewable")
	}
}

// Clients that send parameters by writing get what a read gives.
func TestTokenByUpdate(t *testing.T) {
	m, w := ready(t, nil)
	m.write("roles/r", nil)
	for _, path := range []string{"token", "token/r"} {
		resp := m.write(path, map[string]any{settings.FieldTTL: "5m"})
		if resp.Secret == nil || resp.Secret.TTL != 5*time.Minute || !w.SessionAlive(resp.Data[fieldAccessToken].(string)) {
			t.Errorf("%s: got %v, want a leased token", path, resp)
		}
	}
}

func TestTokenNeedsSettings(t *testing.T) {
	m := newMount(t)
	m.wantRefused(logical.ReadOperation, "token", nil, "not configured", "vault write workfront/config")
	m.write("config", map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "c", settings.FieldClientSecret: "s", settings.FieldCustomerID: "cu", settings.FieldKey: "mine",
	})
	m.wantRefused(logical.ReadOperation, "token", nil, "user_id", "vault write workfront/config user_id=")
	m.write("config", map[string]any{settings.FieldUserID: "u"})
	m.wantRefused(logical.ReadOperation, "token", nil, `"mine"`, "vault write -f workfront/keys/mine/generate")
}

// Rule: a refusal is a 400 that arrives unadorned; Workfront unreachable or broken is a 502; storage is a 500.
func TestTokenErrors(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		m, w := ready(t, nil)
		b := workfronttest.DefaultBehaviour()
		b.EchoRefusals = true
		w.SetBehaviour(b)
		m.write("config", map[string]any{settings.FieldCustomerID: "wrong"})
		m.wantRefused(logical.ReadOperation, "token", nil, "401", "customer_id", "workfront/keys/default")
		resp, _ := m.request(logical.ReadOperation, "token", nil)
		if text := resp.Error().Error(); strings.Contains(text, w.App.ClientSecret) || strings.Contains(text, "eyJ") {
			t.Errorf("the error holds a credential: %s", text)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		m, w := ready(t, map[string]any{settings.FieldMaxRetries: 0})
		w.Suspend()
		m.wantStatus(502, logical.ReadOperation, "token", nil, "not available")
	})
	for _, status := range []int{429, 500, 502, 503, 504} {
		t.Run("overloaded or broken", func(t *testing.T) {
			m, w := ready(t, map[string]any{settings.FieldMaxRetries: 0})
			w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: status})
			m.wantStatus(502, logical.ReadOperation, "token", nil, "not available")
		})
	}
	t.Run("storage", func(t *testing.T) {
		m, _ := ready(t, nil)
		m.readToken(nil).revoke()
		m.storage.Script(storagetest.Rule{On: storagetest.Put, Then: storagetest.Fail(storagetest.ErrBroken)})
		_, err := m.request(logical.ReadOperation, "token", nil)
		if err == nil {
			t.Error("got no error")
		}
		if _, coded := err.(logical.HTTPCodedError); coded { //nolint:errorlint // Vault looks at the outermost error
			t.Errorf("got %v, want an error that Vault answers with 500", err)
		}
	})
	t.Run("read-only storage", func(t *testing.T) {
		m, w := ready(t, nil)
		m.readToken(nil).revoke()
		m.storage.Script(storagetest.ReadOnly)
		if _, err := m.request(logical.ReadOperation, "token", nil); err != logical.ErrReadOnly { //nolint:errorlint // Vault forwards on this very error
			t.Errorf("got %v, want %v", err, logical.ErrReadOnly)
		}
		if stats := w.Stats(); stats.Alive != 0 {
			t.Errorf("sessions left behind: got %d, want none", stats.Alive)
		}
	})
}

func TestTokenRetries(t *testing.T) {
	m, w := ready(t, map[string]any{settings.FieldMaxRetries: 2})
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 503, Times: 2})
	m.readToken(nil).revoke()
	if got := w.Stats().Exchanges; got != 3 {
		t.Errorf("exchanges: got %d, want 3", got)
	}
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 503})
	m.wantStatus(502, logical.ReadOperation, "token", nil)
	if got := w.Stats().Exchanges; got != 6 {
		t.Errorf("exchanges: got %d, want 3 more", got)
	}
}
