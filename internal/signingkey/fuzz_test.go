package signingkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// blockTypes are the PEM blocks that are put around what the fuzz targets are given: few changes of a PEM text leave it PEM, and
// what is behind the base64 would hardly be reached. The first stands for no block.
var blockTypes = []string{
	"", "PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PUBLIC KEY", "RSA PUBLIC KEY", "X",
}

// pemOf puts der into a block, and text around it.
func pemOf(before string, kind uint8, der []byte, behind string) string {
	blockType := blockTypes[int(kind)%len(blockTypes)]
	if blockType == "" {
		return before + string(der) + behind
	}
	return before + string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})) + behind
}

// checkFuzzedError checks that an error repeats nothing of what is in a PEM block.
func checkFuzzedError(t *testing.T, err error, der []byte) {
	t.Helper()
	const size = 16
	content := base64.StdEncoding.EncodeToString(der)
	for i := 0; i+size <= len(content); i += size {
		if strings.Contains(err.Error(), content[i:i+size]) {
			t.Errorf("got %q, want nothing of the key in it", err)
		}
	}
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
		t.Errorf("got %q, want one short line", err)
	}
}

// FuzzParsePrivateKey looks for a key that is accepted and cannot be stored, read again and signed with.
func FuzzParsePrivateKey(f *testing.F) {
	own := ownKey()
	weak, errWeak := rsa.GenerateKey(rand.Reader, 1024)
	ec, errEC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, errED := ed25519.GenerateKey(rand.Reader)
	if errWeak != nil || errEC != nil || errED != nil {
		f.Fatal(errWeak, errEC, errED)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(own.Private)
	for kind := range blockTypes {
		f.Add("", uint8(kind), pkcs1, "")
	}
	for _, key := range []any{own.Private, weak, ec, ed} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("", uint8(1), der, "")
		f.Add("", uint8(1), der[:len(der)-1], "")
		f.Add("", uint8(1), append(der, 0), "text")
	}
	whole, err := own.PrivatePEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.ReplaceAll(whole, "\n", `\n`), uint8(0), []byte{}, "")
	f.Add(strings.ReplaceAll(whole, "\n", "\r\n"), uint8(0), []byte{}, "\x00")
	f.Add(whole, uint8(2), pkcs1, "")
	f.Add("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n", uint8(0), []byte("AAAA"), "\n-----END RSA PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, before string, kind uint8, der []byte, behind string) {
		private, err := signingkey.ParsePrivateKey(pemOf(before, kind, der, behind))
		if err != nil {
			checkFuzzedError(t, err, der)
			return
		}
		if bits := private.N.BitLen(); bits < 2048 || bits > 8192 {
			t.Fatalf("accepted %d bits", bits)
		}
		key, err := signingkey.SelfSign(private, signingkey.Certification{CommonName: "fuzz", Now: now, TTL: time.Hour})
		if err != nil {
			t.Fatalf("accepted a key that signs no certificate: %v", err)
		}
		stored, err := key.PrivatePEM()
		if err != nil {
			t.Fatalf("accepted a key that cannot be stored: %v", err)
		}
		again, err := signingkey.ParsePrivateKey(stored)
		if err != nil || !again.Equal(private) {
			t.Fatalf("what was stored is read as another key: %v", err)
		}
		digest := sha256.Sum256([]byte("assertion"))
		signature, err := rsa.SignPKCS1v15(rand.Reader, again, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatalf("accepted a key that does not sign: %v", err)
		}
		if err := rsa.VerifyPKCS1v15(key.Certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature); err != nil {
			t.Errorf("the certificate does not verify the signature: %v", err)
		}
	})
}

// FuzzParseCertificate looks for a certificate that is accepted and belongs to another key, or is another one when it was
// stored.
func FuzzParseCertificate(f *testing.F) {
	own := ownKey()
	other, err := signingkey.SelfSign(otherKey(), signingkey.Certification{CommonName: "other", Now: now, TTL: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	raw := own.Certificate.Raw
	for kind := range blockTypes {
		f.Add("", uint8(kind), raw, "")
	}
	f.Add("", uint8(3), other.Certificate.Raw, "")
	f.Add("", uint8(3), raw[:len(raw)-1], "")
	f.Add("", uint8(3), append(raw[:len(raw):len(raw)], 0), "text")
	f.Add(own.CertificatePEM(), uint8(3), raw, "")
	f.Add(strings.ReplaceAll(own.CertificatePEM(), "\n", `\r\n`), uint8(0), []byte{}, "")
	f.Fuzz(func(t *testing.T, before string, kind uint8, der []byte, behind string) {
		text := pemOf(before, kind, der, behind)
		if key, err := signingkey.ParseCertificate(text, otherKey()); err == nil && !otherKey().PublicKey.Equal(key.Certificate.PublicKey) {
			t.Error("accepted the certificate of another key")
		}
		// The key that the certificate says: an input that was found is to fail in another process, too.
		private := own.Private
		if cert, err := x509.ParseCertificate(der); err == nil {
			if public, ok := cert.PublicKey.(*rsa.PublicKey); ok {
				private = &rsa.PrivateKey{PublicKey: *public}
			}
		}
		key, err := signingkey.ParseCertificate(text, private)
		if err != nil {
			checkFuzzedError(t, err, der)
			return
		}
		again, err := signingkey.ParseCertificate(key.CertificatePEM(), private)
		if err != nil || again.Fingerprint() != key.Fingerprint() {
			t.Errorf("what was stored is read as another certificate: %v", err)
		}
		if _, err := key.PublicPEM(); err != nil {
			t.Errorf("accepted a key that cannot be shown: %v", err)
		}
	})
}
