package workfronttest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

const minKeyBits = 2048

// publicKey is one entry of an application's list of public keys.
type publicKey struct {
	userID      string
	fingerprint string
	rsa         *rsa.PublicKey
	// The certificate's validity; zero for a bare public key.
	notBefore, notAfter time.Time
}

// parsePublicKey accepts what the Setup page takes: a certificate, as Adobe's openssl command makes it, or a public
// key. Anything around the one PEM block is refused.
func parsePublicKey(text string) (*publicKey, error) {
	text = strings.TrimSpace(text)
	block, rest := pem.Decode([]byte(text))
	if block == nil || !strings.HasPrefix(text, "-----BEGIN ") {
		return nil, errors.New("public key: not a PEM block")
	}
	if len(rest) > 0 {
		return nil, errors.New("public key: more than one PEM block")
	}
	var (
		k      publicKey
		parsed any
	)
	switch block.Type {
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("public key: parse certificate: %w", err)
		}
		parsed, k.notBefore, k.notAfter = certificate.PublicKey, certificate.NotBefore, certificate.NotAfter
	case "PUBLIC KEY":
		var err error
		if parsed, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("public key: parse: %w", err)
		}
	default:
		return nil, fmt.Errorf("public key: a PEM block of type %q is neither CERTIFICATE nor PUBLIC KEY", block.Type)
	}
	var ok bool
	if k.rsa, ok = parsed.(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("public key: a %T is not an RSA key", parsed)
	}
	if bits := k.rsa.N.BitLen(); bits < minKeyBits {
		return nil, fmt.Errorf("public key: %d bits are fewer than %d", bits, minKeyBits)
	}
	der, err := x509.MarshalPKIXPublicKey(k.rsa)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sum := sha256.Sum256(der)
	k.fingerprint = hex.EncodeToString(sum[:])
	return &k, nil
}

// validAt reports whether the key's certificate, if it has one, is valid at t.
func (k *publicKey) validAt(t time.Time) bool {
	return k.notAfter.IsZero() || !t.Before(k.notBefore) && !t.After(k.notAfter)
}
