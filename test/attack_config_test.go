//go:build e2e

package test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
)

// configWriter makes the client of somebody who can do everything to config, and does not know the client secret.
func (m *mount) configWriter(t *testing.T) *api.Client {
	t.Helper()
	return m.clientWith(t, `path "`+m.path+`/config" { capabilities = ["create", "update", "patch", "read", "delete"] }`)
}

// change sends data to config in both ways, each an attack of its own that must be refused with a 400 that names the field.
func (v *victim) change(t *testing.T, attacker *api.Client, name, fieldName string, data map[string]any) {
	t.Helper()
	for _, r := range []rawRequest{
		{method: http.MethodPut, path: "config", body: mustJSON(t, data)},
		{method: http.MethodPatch, path: "config", body: mustJSON(t, data), header: patchHeader},
	} {
		v.attack(t, r.method+" "+name, func(t *testing.T) {
			if status, answer := v.send(t, attacker, r); status != http.StatusBadRequest || !strings.Contains(answer, fieldName) {
				t.Errorf("status %d, want 400 and the field %s: %s", status, fieldName, answer)
			}
		})
	}
}

// TestAttackMove: anyone who can write config without knowing the client secret cannot have it sent elsewhere.
func TestAttackMove(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	v := newVictim(t, m, w)
	attacker := m.configWriter(t)
	here, there := w.URL(), v.elsewhere.url
	all := map[string]any{"base_url": there, "ca_cert": v.elsewhere.caCert, "allow_custom_host": true}
	with := func(name string, value any) map[string]any {
		data := maps.Clone(all)
		data[name] = value
		return data
	}
	for _, c := range []struct {
		name, field string
		data        map[string]any
	}{
		{"the host", "base_url", field("base_url", there)},
		{"the host and its CA", "base_url", all},
		{"the host, verified", "base_url", with("verify_connection", true)},
		{"the host under another limit", "base_url", with("request_timeout", "60s")},
		{"another port", "base_url", field("base_url", here[:strings.LastIndex(here, ":")])},
		{"another name of the host", "base_url", field("base_url", strings.Replace(here, "127.0.0.1", "localhost", 1))},
		{"the CA alone", "ca_cert", field("ca_cert", v.elsewhere.caCert)},
		{"a CA besides", "ca_cert", field("ca_cert", w.CACert()+v.elsewhere.caCert)},
		{"a CA besides, verified", "ca_cert", map[string]any{"ca_cert": w.CACert() + v.elsewhere.caCert, "verify_connection": true}},
		{"no CA", "ca_cert", field("ca_cert", "")},
		{"custom hosts off", "base_url", field("allow_custom_host", false)},
		{"custom hosts as null", "allow_custom_host", field("allow_custom_host", nil)},
		{"an empty secret", "client_secret", with("client_secret", "")},
		{"a secret of null", "client_secret", with("client_secret", nil)},
		{"a secret of a space", "client_secret", with("client_secret", " ")},
		{"a secret of a tab", "client_secret", with("client_secret", "\t")},
		{"a secret of a line break", "client_secret", with("client_secret", "\n")},
		{"a secret of a null byte", "client_secret", with("client_secret", "\x00")},
		{"a secret of a no-break space", "client_secret", with("client_secret", "\u00a0")},
		{"a secret of an ideographic space", "client_secret", with("client_secret", "\u3000")},
		{"a secret of an empty list", "client_secret", with("client_secret", []any{})},
		{"a secret of an empty map", "client_secret", with("client_secret", map[string]any{})},
		{"the secret's field in capitals", "base_url", with("CLIENT_SECRET", canaryMark+"x")},
		{"the secret's field with a space", "base_url", with("client_secret ", canaryMark+"x")},
		{"the secret in a field that is not there", "base_url", with("secret", canaryMark+"x")},
		{"the secret in a field below", "base_url", with("config", field("client_secret", canaryMark+"x"))},
		{"the host in capitals", "base_url", field("base_url", strings.ToUpper(there))},
		{"the host in front of a user", "base_url", field("base_url", strings.Replace(here, "https://", "https://"+strings.TrimPrefix(there, "https://")+"@", 1))},
		{"the host behind a user", "base_url", field("base_url", here+"@"+strings.TrimPrefix(there, "https://"))},
		{"a list of hosts", "base_url", field("base_url", []string{here, there})},
		{"two hosts", "base_url", field("base_url", here+","+there)},
	} {
		v.change(t, attacker, c.name, c.field, c.data)
	}
	for name, body := range map[string]string{
		"the secret twice, the last null":  `{"base_url":%q,"client_secret":"` + canaryMark + `x","client_secret":null}`,
		"the secret twice, the last empty": `{"base_url":%q,"client_secret":"` + canaryMark + `x","client_secret":""}`,
	} {
		v.attack(t, name, func(t *testing.T) {
			r := rawRequest{method: http.MethodPut, path: "config", body: fmt.Sprintf(body, there)}
			if status, answer := v.send(t, attacker, r); status < 400 { // some versions of Vault refuse it themselves
				t.Errorf("status %d, want a refusal: %s", status, answer)
			}
		})
	}
	// The same address in another spelling is no other address.
	m.write(t, "config", field("base_url", strings.ToUpper(here)+"/"))
	// Nor is the same CA in another form another CA.
	m.write(t, "config", field("ca_cert", "\ufeff"+strings.ReplaceAll(w.CACert(), "\n", "\r\n    ")))
	v.unchanged(t)
}

// hostTricks look like a host of Workfront's, or like none.
var hostTricks = []string{
	"https://workfront.com.evil.example", "https://acme.my.workfront.com.evil.example", "https://evilworkfront.com", "https://evil-workfront.com",
	"https://workfront.com", "https://workfront.adobe.com", "https://acme.adobe.com", "https://acme.workfront.co", "https://acme.workfront.com.",
	"https://acme.my.workfront.com.:443", "https://acme.my.workfront.com..", "https://.workfront.com", "https://acme..workfront.com",
	"https://evil.example/.workfront.com", "https://evil.example?.workfront.com", "https://evil.example#.workfront.com",
	"https://evil.example\\.workfront.com", "https://evil\\@acme.my.workfront.com", "https://acme.my.workfront.com@evil.example",
	"https://acme.my.workfront.com:443@evil.example", "https://evil.example:443@acme.my.workfront.com", "https://@acme.my.workfront.com",
	"https://evil.example%2f.workfront.com", "https://evil.example%00.workfront.com", "https://evil.example%0d%0a.workfront.com",
	"https://evil.example%23.workfront.com", "https://evil.example%2eworkfront.com", "https://evil.example\x00.workfront.com",
	"https://evil.example\t.workfront.com", "https://evil.example\r\n.workfront.com", "https://acme.my.workfront.com\r\nHost: evil.example",
	"https://acme.my.workfront.com\n", "\thttps://acme.my.workfront.com", "https://acme.my.workfront.com ",
	"https://acme.my.workfront.com:8443", "https://acme.my.workfront.com:80", "https://acme.my.workfront.com:0", "https://acme.my.workfront.com:",
	"https://acme.my.workfront.com/attask", "https://acme.my.workfront.com//evil.example", "https://acme.my.workfront.com/..",
	"https://acme.my.workfront.com?x=y", "https://acme.my.workfront.com#x", "http://acme.my.workfront.com", "//acme.my.workfront.com",
	"acme.my.workfront.com", "ftp://acme.my.workfront.com", "https:acme.my.workfront.com", "https:///acme.my.workfront.com", "javascript:alert(1)",
	"file:///etc/passwd", "unix:///run/x.sock", "https://xn--wrkfront-y4a.com", "https://acme.xn--workfrnt-bpf.com", "https://acme.w\u043erkfront.com",
	"https://acme.my.workfront\u3002com", "https://acme.my.workfront\uff0ecom", "https://acme.my.\uff57orkfront.com", "https://acme.my.workfront.com\u200b",
	"https://acme.my.workfront.com\u202e", "https://\u2100.workfront.com", "https://127.0.0.1", "https://localhost", "https://[::1]",
	"https://[::ffff:127.0.0.1]", "https://[::ffff:7f00:1]", "https://[::1%25eth0]", "https://[fe80::1%25.workfront.com]", "https://0x7f.1",
	"https://0x7f000001", "https://2130706433", "https://0177.0.0.1", "https://127.1", "https://0", "https://127.0.0.1.workfront.com.evil.example",
	"https://[acme.my.workfront.com]", "https://acme.my.workfront.com[::1]", "https://*.workfront.com", "https://evil.example,acme.my.workfront.com",
	"https://evil.example;.workfront.com", "https://evil.example&.workfront.com", "https://${jndi:ldap://evil.example}.workfront.com",
	"https://" + strings.Repeat("a", 64) + ".workfront.com",
}

// TestAttackHost: without allow_custom_host, no spelling leads out of Workfront's domains, not even with a client secret; and
// without the client secret no spelling leads away at all.
func TestAttackHost(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	official := map[string]any{"base_url": "https://acme.my.workfront.com", "allow_custom_host": false, "ca_cert": ""}
	m.configure(t, w, official)
	v := newVictim(t, m, nil) // there is no real Workfront to read from
	attacker := m.configWriter(t)
	v.change(t, attacker, "custom hosts allowed", "allow_custom_host", field("allow_custom_host", true))
	v.change(t, attacker, "custom hosts allowed, verified", "allow_custom_host", map[string]any{"allow_custom_host": true, "verify_connection": true})
	v.change(t, attacker, "another customer's host", "base_url", field("base_url", "https://evil.my.workfront.com"))
	for _, host := range hostTricks {
		v.change(t, attacker, "without the secret: "+host, "base_url", field("base_url", host))
		v.change(t, attacker, "with a secret: "+host, "base_url", map[string]any{"base_url": host, "client_secret": canaryMark + "made-up"})
	}
	m.write(t, "config", map[string]any{"base_url": "HTTPS://ACME.MY.WORKFRONT.COM:443/"}) // the same address
	v.unchanged(t)
}

// TestAttackProxy: no field names a proxy, a redirect or a second host, on any path. What is no field is ignored, and said.
func TestAttackProxy(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	v := newVictim(t, m, w)
	attacker := m.clientWith(t, `
path "`+m.path+`/config" { capabilities = ["update", "patch"] }
path "`+m.path+`/roles/+" { capabilities = ["create", "update", "patch"] }
path "`+m.path+`/check" { capabilities = ["update"] }
`)
	for _, name := range []string{
		"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "proxy", "proxy_url", "url", "host", "Host", "endpoint", "redirect", "redirect_uri",
		"token_url", "logout_url", "insecure_skip_verify", "tls_server_name", "headers", "env", "BASE_URL", "base_url ", "base_url\x00",
	} {
		for path, method := range map[string]string{"config": http.MethodPatch, "roles/" + freshRole: http.MethodPatch, "check": http.MethodPut} {
			v.attack(t, path+" "+name, func(t *testing.T) {
				r := rawRequest{method: method, path: path, body: mustJSON(t, field(name, v.elsewhere.url))}
				if method == http.MethodPatch {
					r.header = patchHeader
				}
				if status, answer := v.send(t, attacker, r); status != http.StatusOK || !strings.Contains(answer, "unrecognized parameters") {
					t.Errorf("status %d, want 200 and a warning: %s", status, answer)
				}
				v.revoke(t, v.roleToken(t, freshRole))
			})
		}
	}
	for _, name := range []string{"base_url", "ca_cert", "allow_custom_host", "client_secret", "client_id", "customer_id"} {
		v.attack(t, "a role's "+name, func(t *testing.T) {
			r := rawRequest{method: http.MethodPatch, path: "roles/" + freshRole, body: mustJSON(t, field(name, v.elsewhere.url)), header: patchHeader}
			if status, answer := v.send(t, attacker, r); status != http.StatusOK || !strings.Contains(answer, "unrecognized parameters") {
				t.Errorf("status %d, want 200 and a warning: %s", status, answer)
			}
			v.revoke(t, v.roleToken(t, freshRole))
		})
	}
}

// TestAttackConcurrentMove: while the client secret is replaced again and again, no change of the host slips in without it.
func TestAttackConcurrentMove(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	v := newVictim(t, m, w)
	attacker := m.configWriter(t)
	var going sync.WaitGroup
	for range 4 {
		going.Go(func() {
			for range 25 {
				attacks.tried.Add(1)
				_, err := attacker.Logical().Write(m.path+"/config", map[string]any{"base_url": v.elsewhere.url, "ca_cert": v.elsewhere.caCert})
				wantError(t, err, http.StatusBadRequest, "client_secret")
				if err != nil {
					attacks.refused.Add(1)
				}
			}
		})
	}
	for range 25 {
		if _, err := m.patch(field("client_secret", w.App.ClientSecret)); err != nil {
			t.Errorf("patch: %v", err)
		}
		v.issues(t)
	}
	going.Wait()
	v.unchanged(t)
}
