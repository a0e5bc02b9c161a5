//go:build e2e

package test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestStoryWhatIsMissing: each error on the way to the first token says which command comes next.
func TestStoryWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	_, err := m.readToken("")
	wantError(t, err, 400, "not configured", "vault write "+m.path+"/config")

	withoutUser := w.settings()
	delete(withoutUser, "user_id")
	if warnings := m.write(t, "config", withoutUser).Warnings; len(warnings) != 2 || !strings.Contains(warnings[0], "keys/default/generate") ||
		!strings.Contains(warnings[1], "user_id") {
		t.Errorf("warnings are %q, want one about the key and one about user_id", warnings)
	}
	_, err = m.readToken("")
	wantError(t, err, 400, "user_id", "vault write "+m.path+"/config user_id=")

	m.write(t, "config", field("user_id", w.User.ID))
	_, err = m.readToken("")
	wantError(t, err, 400, `"default"`, "vault write -f "+m.path+"/keys/default/generate")

	certificate, _ := m.write(t, "keys/default/generate", nil).Data["certificate"].(string)
	_, err = m.readToken("")
	wantError(t, err, 400, "refused", m.path+"/keys/default", "public keys")

	w.upload(t, certificate)
	m.revoke(t, m.token(t, ""))
}

// TestUnknownField: a slip of the pen is stored nowhere, and told.
func TestUnknownField(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	const want = "Endpoint ignored these unrecognized parameters: [tll]"
	patched, err := m.patch(field("tll", "5m"))
	if err != nil {
		t.Fatalf("patch: %v", err)
	}
	for name, warnings := range map[string][]string{
		"write":    m.write(t, "config", field("tll", "5m")).Warnings,
		"patch":    patched.Warnings,
		"generate": m.write(t, "keys/other/generate", field("tll", "5m")).Warnings,
	} {
		if !slices.Contains(warnings, want) {
			t.Errorf("%s: warnings are %q, want %q", name, warnings, want)
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	_, err := m.patch(field("ttl", "5m"))
	wantError(t, err, http.StatusNotFound, "no config", "vault write")

	m.configure(t, w, map[string]any{
		"ttl": "5m", "max_ttl": "1h", "jwt_ttl": "60s", "session_ttl": "10m", "api_version": "v21.0",
		"request_timeout": "20s", "max_retries": 0, "key": "other",
	})
	wantConfig := func(want map[string]any) {
		t.Helper()
		got := m.read(t, "config")
		for name, value := range want {
			if text, err := json.Marshal(got[name]); err != nil || string(text) != mustJSON(t, value) {
				t.Errorf("%s is %s, want %v (%v)", name, text, value, err)
			}
		}
	}
	wantConfig(map[string]any{
		"ttl": 300, "max_ttl": 3600, "jwt_ttl": 60, "session_ttl": 600, "api_version": "v21.0", "request_timeout": 20,
		"max_retries": 0, "key": "other", "user_id": w.User.ID,
	})
	if _, err := m.patch(field("ttl", "6m")); err != nil {
		t.Fatalf("patch: %v", err)
	}
	wantConfig(map[string]any{"ttl": 360, "max_ttl": 3600, "max_retries": 0})
	_, err = m.patch(map[string]any{
		"ttl": nil, "max_ttl": nil, "jwt_ttl": nil, "session_ttl": nil, "api_version": nil, "request_timeout": nil,
		"max_retries": nil, "key": nil, "user_id": nil,
	})
	if err != nil {
		t.Fatalf("patch with null: %v", err)
	}
	wantConfig(map[string]any{
		"ttl": 0, "max_ttl": 0, "jwt_ttl": 180, "session_ttl": 1800, "api_version": "v22.0", "request_timeout": 10,
		"max_retries": 2, "key": "default", "user_id": "",
	})
	for _, required := range []string{"base_url", "client_id", "client_secret", "customer_id"} {
		_, err := m.patch(field(required, nil))
		wantError(t, err, 400, required)
	}
	// A write merges like a patch.
	m.write(t, "config", field("ttl", "7m"))
	wantConfig(map[string]any{"ttl": 420, "client_id": w.App.ClientID})
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSecretDoesNotMove: anyone who can write config, but does not know the client secret, cannot have it sent elsewhere.
func TestSecretDoesNotMove(t *testing.T) {
	t.Parallel()
	w, thief := startWorkfront(t, 0), startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	enable(t, m.vaultServer, uniqueName(t), thief)
	for _, c := range []struct {
		name  string
		data  map[string]any
		field string
	}{
		{"another host", field("base_url", thief.URL()), "base_url"},
		{"another CA", field("ca_cert", thief.CACert()), "ca_cert"},
		{"no CA", field("ca_cert", ""), "ca_cert"},
		{"a host of Workfront's", field("base_url", "https://thief.my.workfront.com"), "base_url"},
		{"custom host off", map[string]any{"base_url": "https://thief.my.workfront.com", "allow_custom_host": false}, "base_url"},
		{"with an empty secret", map[string]any{"base_url": thief.URL(), "client_secret": ""}, "client_secret"},
	} {
		_, err := m.client.Logical().Write(m.path+"/config", c.data)
		wantError(t, err, 400, c.field, "client_secret")
		_, err = m.patch(c.data)
		wantError(t, err, 400, c.field, "client_secret")
	}
	_, err := m.patch(map[string]any{"ca_cert": nil})
	wantError(t, err, 400, "ca_cert", "client_secret")
	_, err = m.patch(map[string]any{"base_url": thief.URL(), "client_secret": nil})
	wantError(t, err, 400, "client_secret")
	// The same values change nothing, and need no secret.
	m.write(t, "config", map[string]any{"base_url": w.URL(), "ca_cert": w.CACert(), "allow_custom_host": true})
	m.revoke(t, m.token(t, ""))
	if n := thief.Stats().Connections; n != 0 {
		t.Errorf("the other host was called %d times", n)
	}
	// Who knows the secret may move it.
	thief.upload(t, opensslKey(t).certificate)
	m.configure(t, thief, nil)
	m.revoke(t, m.token(t, ""))
}

// TestKeyInUse: the key that config signs with cannot be deleted, and says so.
func TestKeyInUse(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	if got := mustJSON(t, m.read(t, "keys/default")["used_by"]); got != `["config"]` {
		t.Errorf("used_by is %s, want config", got)
	}
	_, err := m.client.Logical().Delete(m.path + "/keys/default")
	wantError(t, err, 400, "config")
	m.delete(t, "config")
	if got := mustJSON(t, m.read(t, "keys/default")["used_by"]); got != `[]` {
		t.Errorf("used_by is %s, want nothing", got)
	}
	m.delete(t, "keys/default")
	if got := m.read(t, "keys/default"); got != nil {
		t.Errorf("the key is still there: %v", got)
	}
	m.delete(t, "keys/default") // a second time is no error
}

// TestRefreshTokenIsDropped: of Workfront's answer nothing else gets out, whatever it holds.
func TestRefreshTokenIsDropped(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	w.Inject(exchangeAnswer(`{"token_type":"sessionID","access_token":"0123456789abcdef0123456789abcdef","expires_in":600,` +
		`"refresh_token":"` + canaryMark + `refresh","id_token":"` + canaryMark + `id","wid":"` + canaryMark + `wid"}`))
	lease := m.token(t, "")
	if len(lease.Data) != 6 {
		t.Errorf("the token has %d fields, want 6", len(lease.Data))
	}
	if _, err := m.root.Sys().Renew(lease.LeaseID, 60); err == nil {
		t.Error("a lease as long as its session was renewed")
	}
	outgrowYouth(t, time.Now())
	m.revoke(t, lease) // the stand-in does not know that session: it has ended already
}

// exchangeAnswer replaces the answer to the next exchange.
func exchangeAnswer(body string) workfronttest.Fault {
	return workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Times: 1, Body: body}
}
