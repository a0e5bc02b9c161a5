//go:build e2e

package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// TestStoryGeneratedKey is the README's way: a key made in Vault, its certificate uploaded, a token read, used,
// renewed and revoked.
func TestStoryGeneratedKey(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), "workfront", w)

	generated := m.write(t, "keys/default/generate", nil).Data
	certificate, _ := m.read(t, "keys/default")["certificate"].(string)
	wantCertificate(t, certificate, generated)
	if text := openssl(t, "x509", "-noout", "-text", "-in", tempFile(t, "c.pem", certificate)); !strings.Contains(text, "CN = workfront default") ||
		!strings.Contains(text, "(2048 bit)") || !strings.Contains(text, "sha256WithRSAEncryption") {
		t.Errorf("openssl reads the certificate as\n%s\nwant CN = workfront default, 2048 bit, sha256WithRSAEncryption", text)
	}
	w.upload(t, certificate)
	m.configure(t, w, map[string]any{"ttl": "5m"})
	useToken(t, m, w)
}

// TestStoryImportedKey brings a key of Adobe's openssl command, with its certificate and without.
func TestStoryImportedKey(t *testing.T) {
	t.Parallel()
	key := opensslKey(t)
	for _, c := range []struct {
		name string
		data map[string]any
	}{
		{"with its certificate", map[string]any{"private_key": key.private, "certificate": key.certificate}},
		{"alone", map[string]any{"private_key": key.private}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := enable(t, sharedVault(t), uniqueName(t), w)
			imported := m.write(t, "keys/default/import", c.data).Data
			certificate, _ := imported["certificate"].(string)
			if given, ok := c.data["certificate"].(string); ok && strings.TrimSpace(certificate) != strings.TrimSpace(given) {
				t.Errorf("the certificate is\n%s\nwant the one that was given\n%s", certificate, given)
			}
			wantCertificate(t, certificate, imported)
			public, _ := imported["public_key"].(string)
			if want := openssl(t, "pkey", "-in", key.privateFile, "-pubout"); strings.TrimSpace(public) != strings.TrimSpace(want) {
				t.Errorf("public_key is\n%s\nopenssl says\n%s", public, want)
			}
			w.upload(t, certificate)
			m.configure(t, w, map[string]any{"ttl": "5m"})
			useToken(t, m, w)
		})
	}
}

// wantCertificate has openssl read a certificate and compares it with what the plugin says of it.
func wantCertificate(t *testing.T, certificate string, key map[string]any) {
	t.Helper()
	file := tempFile(t, "certificate_pub.crt", certificate)
	_, fingerprint, _ := strings.Cut(strings.TrimSpace(openssl(t, "x509", "-noout", "-fingerprint", "-sha256", "-in", file)), "=")
	if got, _ := key["fingerprint_sha256"].(string); got != fingerprint {
		t.Errorf("fingerprint_sha256 is %q, openssl says %q", got, fingerprint)
	}
	public := openssl(t, "x509", "-noout", "-pubkey", "-in", file)
	if got, _ := key["public_key"].(string); strings.TrimSpace(got) != strings.TrimSpace(public) {
		t.Errorf("public_key is\n%s\nopenssl says\n%s", got, public)
	}
	openssl(t, "pkey", "-pubin", "-pubcheck", "-noout", "-in", tempFile(t, "public.pem", public))
	// Self-signed: the certificate verifies with itself as the CA.
	openssl(t, "verify", "-check_ss_sig", "-CAfile", file, file)
}

// useToken is the second half of the story: a lease of 5 minutes on a session of 30.
func useToken(t *testing.T, m *mount, w *workfront) {
	t.Helper()
	asked := time.Now()
	lease := m.token(t, "")
	for field, want := range map[string]string{"token_type": "sessionID", "base_url": w.URL(), "user_id": w.User.ID} {
		if got := lease.Data[field]; got != want {
			t.Errorf("%s is %v, want %s", field, got, want)
		}
	}
	if len(lease.Data) != 6 {
		t.Errorf("the token has %d fields, want access_token, token_type, base_url, user_id, session_id, expires_at alone", len(lease.Data))
	}
	if end := sessionEnd(t, lease); end.Before(asked.Add(29*time.Minute)) || end.After(time.Now().Add(30*time.Minute)) {
		t.Errorf("expires_at is %s, want 30 minutes from %s", end, asked)
	}
	if status, body := w.call(t, accessToken(lease)); status != http.StatusOK || !strings.Contains(body, w.User.EmailAddr) {
		t.Fatalf("the session is answered with %d: %s", status, body)
	}
	ttl, ends, renewable := m.lookup(t, lease.LeaseID)
	if ttl > 5*time.Minute || ttl < 4*time.Minute || !renewable || ends.After(sessionEnd(t, lease)) {
		t.Errorf("the lease has ttl %s, renewable %t, end %s; want 5m, true, not after %s", ttl, renewable, ends, sessionEnd(t, lease))
	}
	renewed, err := m.root.Sys().Renew(lease.LeaseID, 600)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	if renewed.LeaseDuration != 600 || accessToken(renewed) != "" {
		t.Errorf("renewed for %d s, want 600 s and no token in the answer", renewed.LeaseDuration)
	}
	if err := w.accounts(1); err != nil {
		t.Error(err)
	}
	m.revoke(t, lease)
	wantDead(t, w, lease)
	if _, err := m.root.Sys().Lookup(lease.LeaseID); err == nil {
		t.Error("the lease can be looked up after its revocation")
	}
	if err := w.accounts(0); err != nil {
		t.Error(err)
	}
}

// wantDead checks that a session is no longer good for API calls.
func wantDead(t *testing.T, w *workfront, lease *api.Secret) {
	t.Helper()
	if status, _ := w.call(t, accessToken(lease)); status != http.StatusUnauthorized {
		t.Errorf("the session is answered with %d after its end, want 401", status)
	}
}
