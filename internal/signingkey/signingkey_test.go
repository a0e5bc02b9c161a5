package signingkey_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

func TestGenerate(t *testing.T) {
	tests := []struct {
		name string
		bits int
		c    signingkey.Certification
	}{
		{"default", 2048, signingkey.Certification{CommonName: "workfront default", Now: now, TTL: 365 * 24 * time.Hour}},
		{"larger", 3072, signingkey.Certification{CommonName: "workfront 2027", Now: now, TTL: time.Hour}},
		{"longest name", 2048, signingkey.Certification{CommonName: strings.Repeat("n", 64), Now: now, TTL: time.Hour}},
		{"another time zone", 2048, signingkey.Certification{CommonName: "zone", Now: now.In(time.FixedZone("", 7200)), TTL: time.Hour}},
		{"beyond 2049", 2048, signingkey.Certification{CommonName: "late", Now: now, TTL: 50 * 365 * 24 * time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := signingkey.Generate(tt.bits, tt.c)
			if err != nil {
				t.Fatal(err)
			}
			if got := k.Bits(); got != tt.bits {
				t.Errorf("bits: got %d, want %d", got, tt.bits)
			}
			if got := k.Private.N.BitLen(); got != tt.bits {
				t.Errorf("modulus: got %d bits, want %d", got, tt.bits)
			}
			if err := k.Private.Validate(); err != nil {
				t.Errorf("private key: got %v, want it valid", err)
			}
			checkCertificate(t, k, tt.c)
		})
	}
}

func checkCertificate(t *testing.T, k *signingkey.Key, c signingkey.Certification) {
	t.Helper()
	cert := k.Certificate
	if !k.Private.PublicKey.Equal(cert.PublicKey) {
		t.Error("the certificate holds another key")
	}
	if got, want := cert.SignatureAlgorithm, x509.SHA256WithRSA; got != want {
		t.Errorf("signature algorithm: got %v, want %v", got, want)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Errorf("its own signature: got %v, want it to verify", err)
	}
	if got, want := cert.Subject.String(), "CN="+c.CommonName; got != want {
		t.Errorf("subject: got %q, want %q", got, want)
	}
	if got, want := cert.Issuer.String(), cert.Subject.String(); got != want {
		t.Errorf("issuer: got %q, want the subject, %q", got, want)
	}
	// Valid already for a Workfront whose clock is some minutes behind.
	if got, want := cert.NotBefore, c.Now.Add(-5*time.Minute); !got.Equal(want) {
		t.Errorf("not before: got %v, want %v", got, want)
	}
	if got, want := cert.NotAfter, c.Now.Add(c.TTL); !got.Equal(want) {
		t.Errorf("not after: got %v, want %v", got, want)
	}
	if got, want := cert.KeyUsage, x509.KeyUsageDigitalSignature; got != want {
		t.Errorf("key usage: got %v, want %v", got, want)
	}
	if cert.IsCA {
		t.Error("got a CA, want a certificate that signs no other")
	}
	// RFC 5280, section 4.1.2.2: positive, and 20 octets at most.
	if cert.SerialNumber.Sign() <= 0 || len(cert.SerialNumber.Bytes()) > 20 {
		t.Errorf("serial number: got %v, want a positive one of 20 octets at most", cert.SerialNumber)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	at := c.Now.Add(c.TTL / 2)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("got %v, want it to verify as its own root", err)
	}
}

func TestGenerateMakesAnotherKeyEachTime(t *testing.T) {
	c := signingkey.Certification{CommonName: "workfront default", Now: now, TTL: time.Hour}
	k, err := signingkey.Generate(2048, c)
	if err != nil {
		t.Fatal(err)
	}
	if k.Private.Equal(ownKey().Private) {
		t.Error("got the same key twice")
	}
	if k.Certificate.SerialNumber.Cmp(ownKey().Certificate.SerialNumber) == 0 {
		t.Error("got the same serial number twice")
	}
}

func TestSelfSign(t *testing.T) {
	c := signingkey.Certification{CommonName: "imported", Now: now, TTL: 24 * time.Hour}
	k, err := signingkey.SelfSign(otherKey(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Private.Equal(otherKey()) {
		t.Error("got another key than was given")
	}
	checkCertificate(t, k, c)
}

func TestErrorsSayWhatWasDone(t *testing.T) {
	tests := []struct {
		name string
		do   func() (*signingkey.Key, error)
		want string
	}{
		{"too few bits", func() (*signingkey.Key, error) {
			return signingkey.Generate(2, signingkey.Certification{CommonName: "x", Now: now, TTL: time.Hour})
		}, "generate rsa key: "},
		{"key that cannot sign", func() (*signingkey.Key, error) {
			tiny := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(15), E: 3}, D: big.NewInt(3), Primes: []*big.Int{big.NewInt(3), big.NewInt(5)}}
			return signingkey.SelfSign(tiny, signingkey.Certification{CommonName: "x", Now: now, TTL: time.Hour})
		}, "sign certificate: "},
		// X.509 has four digits for a year.
		{"validity beyond the year 9999", func() (*signingkey.Key, error) {
			return signingkey.SelfSign(otherKey(), signingkey.Certification{CommonName: "x", Now: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), TTL: 48 * time.Hour})
		}, "sign certificate: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.do()
			if err == nil || got != nil {
				t.Fatalf("got %v, %v, want an error alone", got, err)
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %q, want it to begin with %q", err, tt.want)
			}
		})
	}
}

// decode returns what a PEM text holds, which must be one block of the type and nothing else.
func decode(t *testing.T, text, blockType string) []byte {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		t.Fatalf("got %q behind one PEM block, want one and nothing else", rest)
	}
	if block.Type != blockType {
		t.Fatalf("got %q, want %q", block.Type, blockType)
	}
	return block.Bytes
}

func TestPEM(t *testing.T) {
	k := ownKey()
	private, err := k.PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(decode(t, private, "PRIVATE KEY"))
	if got, ok := parsed.(*rsa.PrivateKey); err != nil || !ok || !got.Equal(k.Private) {
		t.Errorf("private key: got %T, %v, want the key", parsed, err)
	}
	public, err := k.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err = x509.ParsePKIXPublicKey(decode(t, public, "PUBLIC KEY"))
	if got, ok := parsed.(*rsa.PublicKey); err != nil || !ok || !got.Equal(&k.Private.PublicKey) {
		t.Errorf("public key: got %T, %v, want the key's", parsed, err)
	}
	cert, err := x509.ParseCertificate(decode(t, k.CertificatePEM(), "CERTIFICATE"))
	if err != nil || !cert.Equal(k.Certificate) {
		t.Errorf("certificate: got %v, want the key's", err)
	}
}

// A key that cannot be read back must not get into storage.
func TestPrivatePEMReportsAnInvalidKey(t *testing.T) {
	broken := *otherKey()
	broken.D = big.NewInt(3)
	broken.Precomputed = rsa.PrecomputedValues{}
	k := &signingkey.Key{Private: &broken, Certificate: ownKey().Certificate}
	got, err := k.PrivatePEM()
	if err == nil || got != "" {
		t.Fatalf("got a PEM text: %t, %v, want an error alone", got != "", err)
	}
	if want := "encode private key: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", err, want)
	}
}

// What is stored is read back by the functions that read what users give.
func TestStoredFormsAreRead(t *testing.T) {
	private, err := ownKey().PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	got, err := signingkey.ParsePrivateKey(private)
	if err != nil || !got.Equal(ownKey().Private) {
		t.Fatalf("private key: got %v, want the key", err)
	}
	k, err := signingkey.ParseCertificate(ownKey().CertificatePEM(), got)
	if err != nil || !k.Certificate.Equal(ownKey().Certificate) {
		t.Fatalf("certificate: got %v, want the key's", err)
	}
	if got, want := k.Fingerprint(), ownKey().Fingerprint(); got != want {
		t.Errorf("fingerprint: got %q, want %q", got, want)
	}
}

// An operator compares them with what openssl prints for the uploaded file.
func TestSameAsOpenSSL(t *testing.T) {
	k := ownKey()
	run := func(stdin string, args ...string) string {
		t.Helper()
		out, err := openssl(t.TempDir(), stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// The words in front of the = differ between versions.
	_, want, _ := strings.Cut(strings.TrimSpace(run(k.CertificatePEM(), "x509", "-noout", "-fingerprint", "-sha256")), "=")
	if got := k.Fingerprint(); got != want {
		t.Errorf("fingerprint: got %q, want %q", got, want)
	}
	public, err := k.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	if want := run(k.CertificatePEM(), "x509", "-noout", "-pubkey"); public != want {
		t.Errorf("public key: got %q, want %q", public, want)
	}
	private, err := k.PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	if want := run(private, "pkey", "-pubout"); public != want {
		t.Errorf("public half of the private key: got %q, want %q", public, want)
	}
	if got, want := run(private, "pkey", "-check", "-noout"), "Key is valid"; !strings.Contains(got, want) {
		t.Errorf("private key: openssl says %q, want %q", got, want)
	}
	if got, want := run(k.CertificatePEM(), "x509", "-noout", "-subject", "-nameopt", "RFC2253"), "CN=workfront default"; !strings.Contains(got, want) {
		t.Errorf("subject: openssl says %q, want %q in it", got, want)
	}
}
