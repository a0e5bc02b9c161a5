// Package signingkey holds the RSA key pairs that sign assertions for Workfront, and the certificates by which
// Workfront knows their public halves.
package signingkey

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"time"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

const (
	// MinBits is the smallest RSA key that is accepted (NIST SP 800-131A).
	MinBits = 2048
	// MaxBits bounds the work that one signature costs, which grows with the cube of the size.
	MaxBits = 8192

	// backdate lets a certificate be valid for a Workfront whose clock is behind.
	backdate = 5 * time.Minute
)

// Key is a private key and the certificate that Workfront gets.
type Key struct {
	Private     *rsa.PrivateKey
	Certificate *x509.Certificate
}

// Certification is what a self-signed certificate says.
type Certification struct {
	CommonName string        // 64 characters at most (X.520)
	Now        time.Time     // the certificate is valid from shortly before
	TTL        time.Duration // and for this long from Now
}

// Generate generates an RSA key of bits, and a self-signed certificate for it.
func Generate(bits int, c Certification) (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("generate rsa key: %w", err)
	}
	return SelfSign(private, c)
}

// SelfSign issues a certificate for a key that has none, as Adobe's `openssl req -x509 -sha256` does.
func SelfSign(private *rsa.PrivateKey, c Certification) (*Key, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: c.CommonName},
		NotBefore:             c.Now.Add(-backdate),
		NotAfter:              c.Now.Add(c.TTL),
		SignatureAlgorithm:    x509.SHA256WithRSA,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate back: %w", err)
	}
	return &Key{Private: private, Certificate: cert}, nil
}

// PrivatePEM returns the private key as PKCS#8 PEM. It is for storage alone.
func (k *Key) PrivatePEM() (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return "", fmt.Errorf("encode private key: %w", err)
	}
	return pemtext.Encode(pemtext.Block{Kind: pemtext.PKCS8, DER: der}), nil
}

// CertificatePEM returns the certificate, to be uploaded to Workfront.
func (k *Key) CertificatePEM() string {
	return pemtext.Encode(pemtext.Block{Kind: pemtext.Certificate, DER: k.Certificate.Raw})
}

// PublicPEM returns the public key in PKIX form, as `openssl x509 -pubkey` prints it.
func (k *Key) PublicPEM() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.Private.PublicKey)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	return pemtext.Encode(pemtext.Block{Kind: pemtext.PublicKey, DER: der}), nil
}

// Fingerprint returns the SHA-256 fingerprint of the certificate, as `openssl x509 -fingerprint -sha256` prints
// it.
func (k *Key) Fingerprint() string {
	sum := sha256.Sum256(k.Certificate.Raw)
	hex := make([]string, len(sum))
	for i, b := range sum {
		hex[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(hex, ":")
}

// Bits returns the size of the key.
func (k *Key) Bits() int { return k.Private.N.BitLen() }
