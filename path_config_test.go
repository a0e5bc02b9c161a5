package main

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestConfigReadShowsDefaultsAndNoSecret(t *testing.T) {
	m := newMount(t)
	if got := m.read("config"); got != nil {
		t.Errorf("unconfigured: got %v, want nothing", got)
	}
	m.write("config", map[string]any{
		settings.FieldBaseURL: "https://Acme.my.workfront.com:443/", settings.FieldClientID: "client", settings.FieldClientSecret: "secret", settings.FieldCustomerID: "customer",
	})
	want := map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "client", settings.FieldCustomerID: "customer", settings.FieldUserID: "", settings.FieldKey: "default",
		settings.FieldTTL: 0, settings.FieldMaxTTL: 0, settings.FieldJWTTTL: 180, settings.FieldSessionTTL: 1800, settings.FieldAPIVersion: "v22.0", settings.FieldRequestTimeout: 10,
		settings.FieldMaxRetries: 2, settings.FieldMaxConnections: 8, settings.FieldCACert: "", settings.FieldAllowCustomHost: false,
		settings.FieldShareSession: false,
	}
	if got, want := asJSON(t, m.read("config")), asJSON(t, want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConfigMergesAndPatches(t *testing.T) {
	m := newMount(t)
	base := map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "client", settings.FieldClientSecret: "secret", settings.FieldCustomerID: "customer",
		settings.FieldUserID: "user", settings.FieldKey: "k", settings.FieldTTL: "5m", settings.FieldMaxTTL: "1h", settings.FieldJWTTTL: "2m", settings.FieldSessionTTL: "1h", settings.FieldAPIVersion: "v21.0",
		settings.FieldRequestTimeout: "20s", settings.FieldMaxRetries: 0, settings.FieldMaxConnections: 4,
	}
	m.write("config", base)
	before := m.read("config")
	if got := before[settings.FieldMaxRetries]; got != 0 {
		t.Errorf("max_retries: got %v, want 0, which is not the default", got)
	}
	tests := []struct {
		name string
		op   logical.Operation
		data map[string]any
		want map[string]any // what changes
	}{
		{"nothing sent", logical.UpdateOperation, nil, nil},
		{"update", logical.UpdateOperation, map[string]any{settings.FieldTTL: "10m"}, map[string]any{settings.FieldTTL: 600}},
		{"update with numbers", logical.UpdateOperation, map[string]any{settings.FieldTTL: json.Number("120"), settings.FieldMaxRetries: "5"}, map[string]any{settings.FieldTTL: 120, settings.FieldMaxRetries: 5}},
		{"update to the mount's default", logical.UpdateOperation, map[string]any{settings.FieldTTL: 0}, map[string]any{settings.FieldTTL: 0}},
		{"patch", logical.PatchOperation, map[string]any{settings.FieldUserID: "other"}, map[string]any{settings.FieldUserID: "other"}},
		{"patch with null", logical.PatchOperation, map[string]any{
			settings.FieldUserID: nil, settings.FieldKey: nil, settings.FieldTTL: nil, settings.FieldMaxTTL: nil, settings.FieldJWTTTL: nil, settings.FieldSessionTTL: nil, settings.FieldAPIVersion: nil,
			settings.FieldRequestTimeout: nil, settings.FieldMaxRetries: nil, settings.FieldMaxConnections: nil, settings.FieldCACert: nil, settings.FieldAllowCustomHost: nil, settings.FieldShareSession: nil,
		}, map[string]any{
			settings.FieldUserID: "", settings.FieldKey: "default", settings.FieldTTL: 0, settings.FieldMaxTTL: 0, settings.FieldJWTTTL: 180, settings.FieldSessionTTL: 1800, settings.FieldAPIVersion: "v22.0",
			settings.FieldRequestTimeout: 10, settings.FieldMaxRetries: 2, settings.FieldMaxConnections: 8,
		}},
		{"new client", logical.UpdateOperation, map[string]any{settings.FieldClientID: "c2", settings.FieldClientSecret: "s2", settings.FieldCustomerID: "cu2"}, map[string]any{settings.FieldClientID: "c2", settings.FieldCustomerID: "cu2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			m.write("config", base)
			m.must(tt.op, "config", tt.data)
			want := maps.Clone(before)
			maps.Copy(want, tt.want)
			if got, want := asJSON(t, m.read("config")), asJSON(t, want); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestConfigPatchOfNothing(t *testing.T) {
	m := newMount(t)
	m.wantStatus(404, logical.PatchOperation, "config", map[string]any{settings.FieldUserID: "user"}, "vault write")
}

func TestConfigWarnings(t *testing.T) {
	m := newMount(t)
	tests := []struct {
		name string
		data map[string]any
		want string
	}{
		{"key and user missing", map[string]any{
			settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "c", settings.FieldClientSecret: "s", settings.FieldCustomerID: "cu",
		}, "vault write -f workfront/keys/default/generate"},
		{"user missing", map[string]any{}, "user_id"},
		{"unknown field", map[string]any{"tll": "5m"}, "unrecognized parameters: [tll]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := m.write("config", tt.data)
			if resp == nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), tt.want) {
				t.Errorf("warnings: got %v, want one that holds %q", resp, tt.want)
			}
		})
	}
}

func TestConfigDelete(t *testing.T) {
	m, w := ready(t, nil)
	l := m.readToken(nil)
	m.must(logical.DeleteOperation, "config", nil)
	if got := m.read("config"); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
	m.wantRefused(logical.ReadOperation, "token", nil, "not configured")
	m.must(logical.DeleteOperation, "keys/default", nil)
	l.revoke() // needs neither config nor key
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on after the revocation")
	}
}

// Rule: anyone who can write config, but does not know the client secret, cannot have it sent elsewhere.
func TestConfigMoveNeedsTheSecret(t *testing.T) {
	m, w := ready(t, nil)
	elsewhere := newStandIn(t, m.clock.Now)
	moves := map[string]map[string]any{
		settings.FieldBaseURL: {settings.FieldBaseURL: elsewhere.URL()},
		settings.FieldCACert:  {settings.FieldCACert: elsewhere.CACert()},
		"both":                {settings.FieldAllowCustomHost: false, settings.FieldBaseURL: "https://acme.my.workfront.com"},
	}
	before := asJSON(t, m.read("config"))
	for field, move := range moves {
		for _, op := range []logical.Operation{logical.UpdateOperation, logical.PatchOperation} {
			t.Run(field+" "+string(op), func(t *testing.T) {
				m.t = t
				m.wantRefused(op, "config", move, "client_secret")
				with := maps.Clone(move)
				with[settings.FieldClientSecret] = ""
				m.wantRefused(op, "config", with, "client_secret", "must not be empty")
				if got := asJSON(t, m.read("config")); got != before {
					t.Errorf("stored all the same: got %s, want %s", got, before)
				}
			})
		}
	}
	t.Run("before a verification", func(t *testing.T) {
		m.t = t
		m.wantRefused(logical.UpdateOperation, "config", map[string]any{
			settings.FieldBaseURL: elsewhere.URL(), settings.FieldCACert: elsewhere.CACert(), fieldVerify: true,
		}, "client_secret")
		if got := elsewhere.Stats().Connections; got != 0 {
			t.Errorf("connections to the new host: got %d, want none", got)
		}
	})
	t.Run("null", func(t *testing.T) {
		m.t = t
		m.wantRefused(logical.PatchOperation, "config", map[string]any{settings.FieldCACert: nil}, "client_secret")
	})
	t.Run("the same again", func(t *testing.T) {
		m.t = t
		m.write("config", map[string]any{settings.FieldBaseURL: w.URL() + "/", settings.FieldCACert: w.CACert(), settings.FieldAllowCustomHost: "true"})
	})
	t.Run("with the secret", func(t *testing.T) {
		m.t = t
		m.write("config", map[string]any{settings.FieldBaseURL: elsewhere.URL(), settings.FieldCACert: elsewhere.CACert(), settings.FieldClientSecret: "made up"})
		m.wantRefused(logical.ReadOperation, "token", nil, "refused")
		if got := elsewhere.Stats().Exchanges; got != 1 {
			t.Errorf("exchanges at the new host: got %d, want 1", got)
		}
	})
}

// allow_custom_host alone decides, too: what it permits comes later.
func TestAllowCustomHostNeedsTheSecret(t *testing.T) {
	m := newMount(t)
	m.write("config", map[string]any{
		settings.FieldBaseURL: "https://acme.my.workfront.com", settings.FieldClientID: "c", settings.FieldClientSecret: "s",
		settings.FieldCustomerID: "cu",
	})
	for _, op := range []logical.Operation{logical.UpdateOperation, logical.PatchOperation} {
		m.wantRefused(op, "config", map[string]any{settings.FieldAllowCustomHost: true}, "allow_custom_host", "client_secret")
	}
	m.write("config", map[string]any{settings.FieldAllowCustomHost: true, settings.FieldClientSecret: "s"})
}

func TestConfigWritesAreForwarded(t *testing.T) {
	b := newMount(t).backend.(*backend)
	for _, path := range []string{"config", "keys/k", "keys/k/generate", "keys/k/import", "roles/r", "token", "token/r", "check", "sessions/s"} {
		for op, handler := range b.Route(path).Operations {
			properties := handler.Properties()
			writes := op != logical.ReadOperation || strings.HasPrefix(path, "token")
			if properties.ForwardPerformanceStandby != writes || properties.ForwardPerformanceSecondary != writes {
				t.Errorf("%s %s: got forward flags %t and %t, want both %t", op, path,
					properties.ForwardPerformanceStandby, properties.ForwardPerformanceSecondary, writes)
			}
		}
	}
}

// A change made on another node arrives as Invalidate.
func TestInvalidate(t *testing.T) {
	m, w := ready(t, nil)
	m.readToken(nil).revoke()
	config := m.storage.Value(t, settings.ConfigKey)
	m.storage.Set(t, settings.ConfigKey, strings.ReplaceAll(config, w.App.ClientSecret, "changed"))
	m.backend.InvalidateKey(t.Context(), "session/unrelated")
	m.readToken(nil).revoke() // still with what is kept in memory
	m.backend.InvalidateKey(t.Context(), settings.ConfigKey)
	m.wantRefused(logical.ReadOperation, "token", nil, "refused")

	m.write("config", map[string]any{settings.FieldClientSecret: w.App.ClientSecret})
	m.write("roles/r", map[string]any{settings.FieldTTL: "5m"})
	m.readTokenAt("token/r", nil).revoke()
	m.storage.Set(t, "roles/r", `{"version":1,"ttl":60000000000}`)
	m.backend.InvalidateKey(t.Context(), "roles/r")
	l := m.readTokenAt("token/r", nil)
	if l.secret.TTL != time.Minute {
		t.Errorf("ttl after a role was invalidated: got %s, want 1m", l.secret.TTL)
	}
	l.revoke()
}

// Which logout worked at Workfront is remembered until config is written, here or on another node: then that may be put right.
func TestConfigForgetsWhichLogoutWorked(t *testing.T) {
	m, w := ready(t, nil)
	b := workfronttest.DefaultBehaviour()
	b.LogoutMethods = workfronttest.LogoutPOST
	w.SetBehaviour(b)
	id := func(l *lease) string { return l.data[fieldSessionID].(string) }
	steps := []struct {
		name   string
		before func()
		want   int // requests for a logout
	}{
		{"GET is refused", func() {}, 2},
		{"POST is remembered", func() {}, 1},
		{"a role is written", func() { m.write("roles/r", nil) }, 1},
		{"config is written", func() { m.write("config", map[string]any{settings.FieldTTL: "5m"}) }, 2},
		{"config is invalidated", func() { m.backend.InvalidateKey(t.Context(), settings.ConfigKey) }, 2},
		{"POST is remembered again", func() {}, 1},
	}
	for _, s := range steps {
		s.before()
		l := m.readToken(nil)
		before := w.Stats().Logouts
		m.must(logical.DeleteOperation, "sessions/"+id(l), nil)
		if got := w.Stats().Logouts - before; got != s.want {
			t.Errorf("%s: got %d requests for a logout, want %d", s.name, got, s.want)
		}
	}
	l := m.readToken(nil)
	m.must(logical.DeleteOperation, "config", nil)
	before := w.Stats().Logouts
	m.must(logical.DeleteOperation, "sessions/"+id(l), nil)
	if got, want := w.Stats().Logouts-before, 2; got != want {
		t.Errorf("config is deleted: got %d requests for a logout, want %d", got, want)
	}
}
