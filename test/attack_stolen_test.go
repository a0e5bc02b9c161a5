//go:build e2e

package test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestAttackMadeUpSecret shows what remains to somebody who can write config and does not know the client secret: with one
// of his own making he can have signed JWTs sent to a host of his. The real secret is gone by then, and without it
// Workfront takes no JWT. He does cut the readers off, and they are told of his host, until config is put right.
func TestAttackMadeUpSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		move func(attacker *api.Client, m *mount, data map[string]any) error
	}{
		{"write", func(attacker *api.Client, m *mount, data map[string]any) error {
			_, err := attacker.Logical().Write(m.path+"/config", data)
			return err
		}},
		{"patch in two steps", func(attacker *api.Client, m *mount, data map[string]any) error {
			moved := &mount{vaultServer: m.vaultServer, path: m.path, client: attacker}
			if _, err := moved.patch(map[string]any{"client_secret": data["client_secret"]}); err != nil {
				return err
			}
			_, err := moved.patch(data)
			return err
		}},
		{"delete and create", func(attacker *api.Client, m *mount, data map[string]any) error {
			if _, err := attacker.Logical().Delete(m.path + "/config"); err != nil {
				return err
			}
			_, err := attacker.Logical().Write(m.path+"/config", data)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			attacks.tried.Add(1)
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
			v := newVictim(t, m, w)
			leases := []*api.Secret{m.token(t, ""), m.roleToken(t, sharedRole), m.roleToken(t, sharedRole)}

			const madeUp = "made-up"
			data := w.settings()
			data["base_url"], data["ca_cert"], data["client_secret"] = v.elsewhere.url, v.elsewhere.caCert, madeUp
			if err := c.move(m.configWriter(t), m, data); err != nil {
				t.Fatal(err)
			}
			for _, role := range []string{"", freshRole, sharedRole, sharedRole} {
				lease := m.roleToken(t, role)
				if accessToken(lease) != stolenSession || lease.Data["base_url"] != v.elsewhere.url {
					t.Error("a reader got a session of the victim's Workfront; the test meant to have it got elsewhere")
				}
			}
			m.write(t, "check", nil)
			// An operator who is about to give the real secret says with it where it may go.
			_, err := m.patch(map[string]any{"client_secret": w.App.ClientSecret, "allow_custom_host": false, "verify_connection": true})
			wantError(t, err, http.StatusBadRequest, "base_url", "127.0.0.1")
			if _, err := m.root.Sys().Renew(leases[0].LeaseID, 60); err != nil {
				t.Errorf("renew: %v", err)
			}
			m.revoke(t, leases[1])
			m.delete(t, "sessions/"+sessionID(leases[2]))
			wantDead(t, w, leases[2]) // which is logged out where it was started
			m.revokeAll(t)
			wantDead(t, w, leases[0])

			came := v.elsewhere.text()
			jwts := regexp.MustCompile(`jwt_token=(eyJ[A-Za-z0-9_.-]+)`).FindAllSubmatch(came, -1)
			if secrets := regexp.MustCompile(`client_secret=`+madeUp+`\b`).FindAll(came, -1); len(jwts) == 0 || len(secrets) != len(jwts) {
				t.Errorf("%d JWTs came with %d made-up secrets, want some, and as many", len(jwts), len(secrets))
			}
			v.elsewhere.wantNoSecret(t, true, w.App.ClientSecret, accessToken(leases[0]), accessToken(leases[1]))
			for _, jwt := range jwts {
				for _, secret := range []string{madeUp, "", "undefined"} {
					if status := w.exchange(t, string(jwt[1]), secret); status < 400 {
						t.Errorf("Workfront takes a JWT with the secret %q: %d", secret, status)
					}
				}
			}
			// Back again, the attacker does not get the real secret either: it is not there any more.
			_, err = m.configWriter(t).Logical().Write(m.path+"/config", map[string]any{"base_url": w.URL(), "ca_cert": w.CACert()})
			wantError(t, err, http.StatusBadRequest, "client_secret")
			m.configure(t, w, field("ttl", "5m"))
			v.issues(t)
			if !t.Failed() {
				attacks.refused.Add(1)
			}
		})
	}
}

// exchange tries to get a session for a JWT, as whoever got hold of it would.
func (w *workfront) exchange(t *testing.T, jwt, secret string) (status int) {
	t.Helper()
	resp, err := w.HTTPClient().PostForm(w.URL()+"/integrations/oauth2/api/v1/jwt/exchange",
		url.Values{"client_id": {w.App.ClientID}, "client_secret": {secret}, "jwt_token": {jwt}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestAttackLease: a lease gives nothing to anybody but its reader. Vault's default policy lets everybody who knows its ID
// look it up, renew it and, with one line more, revoke it; none of these shows the session.
func TestAttackLease(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	v := newVictim(t, m, w)
	lease := m.token(t, "")
	attacker := m.clientWith(t, `
path "sys/leases/+" { capabilities = ["create", "update"] }
path "sys/leases/lookup/*" { capabilities = ["list", "sudo"] }
path "`+m.path+`/sessions" { capabilities = ["list"] }
path "`+m.path+`/sessions/+" { capabilities = ["read"] }
`)
	l := attacker.Logical()
	id := field("lease_id", lease.LeaseID)
	renewOldWay := http.StatusOK
	if m.IsOpenBao() { // it has no such path
		renewOldWay = http.StatusForbidden
	}
	for name, c := range map[string]struct {
		want int // 403 where the policy does not give it
		try  func() (*api.Secret, error)
	}{
		"look up":              {200, func() (*api.Secret, error) { return l.Write("sys/leases/lookup", id) }},
		"list":                 {200, func() (*api.Secret, error) { return l.List("sys/leases/lookup/" + m.path + "/token") }},
		"renew":                {200, func() (*api.Secret, error) { return l.Write("sys/leases/renew", id) }},
		"renew by the old way": {renewOldWay, func() (*api.Secret, error) { return l.Write("sys/renew", id) }},
		"list sessions":        {200, func() (*api.Secret, error) { return l.List(m.path + "/sessions") }},
		"read the session":     {200, func() (*api.Secret, error) { return l.Read(m.path + "/sessions/" + sessionID(lease)) }},
		"read its token":       {403, func() (*api.Secret, error) { return l.Read(m.path + "/sessions/" + sessionID(lease) + "/token") }},
		"log it out":           {403, func() (*api.Secret, error) { return l.Delete(m.path + "/sessions/" + sessionID(lease)) }},
		"read another":         {403, func() (*api.Secret, error) { return l.Read(m.path + "/token") }},
		"unwrap it": {400, func() (*api.Secret, error) {
			return l.Write("sys/wrapping/unwrap", field("token", sessionID(lease)))
		}},
	} {
		v.attack(t, name, func(t *testing.T) {
			answer, err := c.try()
			if c.want != http.StatusOK {
				wantError(t, err, c.want)
			} else if err != nil || answer == nil {
				t.Errorf("got %v, %v; the policy gives it, so there was nothing to search", answer, err)
			}
			if text := fmt.Sprint(mustJSON(t, answer), err); leaks.find([]byte(text), false, false) != nil {
				t.Error("the answer holds a secret")
			}
			if !w.SessionAlive(accessToken(lease)) {
				t.Error("the session was ended")
			}
		})
	}
	m.revoke(t, lease)
}
