package main

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func parseCertificate(t *testing.T, text any) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text.(string)))
	if block == nil || len(rest) > 0 {
		t.Fatalf("got %q, want one PEM block", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestKeysGenerate(t *testing.T) {
	tests := []struct {
		name string
		data map[string]any
		bits int
		cn   string
		ttl  time.Duration
	}{
		{"defaults", nil, 2048, "workfront k.1", 365 * 24 * time.Hour},
		{"all fields", map[string]any{settings.FieldKeyBits: "3072", settings.FieldCommonName: "Acme Vault", settings.FieldCertificateTTL: "720h"}, 3072, "Acme Vault", 720 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMount(t)
			got := m.write("keys/k.1/generate", tt.data).Data
			cert := parseCertificate(t, got[settings.FieldCertificate])
			if cert.Subject.CommonName != tt.cn {
				t.Errorf("common name: got %q, want %q", cert.Subject.CommonName, tt.cn)
			}
			if want := m.clock.Now().Add(tt.ttl); !cert.NotAfter.Equal(want) {
				t.Errorf("not after: got %s, want %s", cert.NotAfter, want)
			}
			if cert.NotBefore.After(m.clock.Now()) {
				t.Errorf("not before: got %s, which is yet to come", cert.NotBefore)
			}
			if got[settings.FieldKeyBits] != tt.bits || got[fieldSource] != "generated" {
				t.Errorf("got %v bits, source %v; want %d, generated", got[settings.FieldKeyBits], got[fieldSource], tt.bits)
			}
			if got, want := asJSON(t, m.read("keys/k.1")), asJSON(t, got); got != want {
				t.Errorf("read: got %s, want what generate answered, %s", got, want)
			}
			if strings.Contains(asJSON(t, got), "PRIVATE") {
				t.Error("the answer holds a private key")
			}
		})
	}
}

func TestKeysImport(t *testing.T) {
	private := testKeyPEM(t)
	tests := []struct {
		name string
		data map[string]any
		own  bool // with the certificate that was made with the key
	}{
		{"with its certificate", map[string]any{settings.FieldPrivateKey: private, settings.FieldCertificate: testKey().CertificatePEM()}, true},
		{"alone", map[string]any{settings.FieldPrivateKey: private, settings.FieldCommonName: "mine", settings.FieldCertificateTTL: "1h"}, false},
		{"CRLF", map[string]any{settings.FieldPrivateKey: strings.ReplaceAll(private, "\n", "\r\n")}, false},
		{`literal \n`, map[string]any{settings.FieldPrivateKey: strings.ReplaceAll(private, "\n", `\n`)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMount(t)
			got := m.write("keys/k/import", tt.data).Data
			cert := parseCertificate(t, got[settings.FieldCertificate])
			if !testKey().Private.PublicKey.Equal(cert.PublicKey) {
				t.Error("the certificate is of another key")
			}
			if own := cert.Equal(testKey().Certificate); own != tt.own {
				t.Errorf("the given certificate: got %t, want %t", own, tt.own)
			}
			if got[fieldSource] != "imported" {
				t.Errorf("source: got %v, want imported", got[fieldSource])
			}
		})
	}
}

func TestKeysAreNeverOverwritten(t *testing.T) {
	m := newMount(t)
	before := asJSON(t, m.write("keys/k/generate", nil).Data)
	m.wantRefused(logical.UpdateOperation, "keys/k/generate", nil, "name", "never overwritten")
	m.wantRefused(logical.UpdateOperation, "keys/k/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)}, "name", "never overwritten")
	if got := asJSON(t, m.read("keys/k")); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
}

func TestKeysListAndDelete(t *testing.T) {
	m, _ := ready(t, nil)
	if resp := newMount(t).must(logical.ListOperation, "keys/", nil); resp != nil {
		t.Errorf("list of no keys: got %v, want nothing", resp)
	}
	m.write("keys/b/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)})
	if got, want := asJSON(t, m.must(logical.ListOperation, "keys/", nil).Data), `{"keys":["b","default"]}`; got != want {
		t.Errorf("list: got %s, want %s", got, want)
	}
	if got, want := asJSON(t, m.read("keys/default")[fieldUsedBy]), `["config"]`; got != want {
		t.Errorf("used by: got %s, want %s", got, want)
	}
	if got, want := asJSON(t, m.read("keys/b")[fieldUsedBy]), `[]`; got != want {
		t.Errorf("used by: got %s, want %s", got, want)
	}
	m.wantRefused(logical.DeleteOperation, "keys/default", nil, "name", "config")
	m.write("config", map[string]any{settings.FieldKey: "b"})
	m.must(logical.DeleteOperation, "keys/default", nil)
	m.must(logical.DeleteOperation, "keys/default", nil) // is idempotent
	if got := m.read("keys/default"); got != nil {
		t.Errorf("deleted: got %v, want nothing", got)
	}
}

// Rotation by the calls of the design: the new key signs from the moment that config names it, and not before.
func TestKeyRotation(t *testing.T) {
	m, w := ready(t, nil)
	m.readToken(nil).revoke()
	w.upload(t, m.write("keys/new/generate", nil).Data[settings.FieldCertificate].(string))
	m.must(logical.PatchOperation, "config", map[string]any{settings.FieldKey: "new"})
	if err := w.RemovePublicKey(w.App.ClientID, w.fingerprint); err != nil {
		t.Fatal(err)
	}
	m.readToken(nil).revoke()
	m.must(logical.PatchOperation, "config", map[string]any{settings.FieldKey: "default"})
	m.wantRefused(logical.ReadOperation, "token", nil, "keys/default")
}
