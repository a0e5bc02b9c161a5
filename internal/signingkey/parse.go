package signingkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

// The errors of this file are put behind the name of a field. They never hold any of the input.
var (
	errEncrypted = fmt.Errorf("is encrypted with a passphrase, which Vault cannot ask for; decrypt it first, with `%s`, "+
		"and delete that file afterwards", pemtext.Encrypted.ToPrivateKey())
	errTwoKeys = errors.New("holds more than one private key; give one alone")
	errDamaged = errors.New("is damaged: it holds no readable private key; copy the file again, whole")
)

const (
	givePrivate     = "give the file that begins with -----BEGIN PRIVATE KEY-----"
	giveCertificate = "give the file that begins with -----BEGIN CERTIFICATE-----"

	otherAlgorithm = "holds %s key, but Workfront verifies RS256, which needs RSA; generate one with " +
		"`openssl req -x509 -sha256 -nodes -newkey rsa:2048 -keyout private.key -out certificate_pub.crt`"
)

// ParsePrivateKey reads an unencrypted RSA private key in any of the forms that ParseKeyFile reads.
func ParsePrivateKey(text string) (*rsa.PrivateKey, error) {
	private, _, err := ParseKeyFile(text)
	return private, err
}

// ParseKeyFile reads a text that holds exactly one private key, unencrypted and RSA, in any of the forms that pemtext
// reads. Beside it there may be its public key and certificates, such as a chain: the one that holds the key is
// returned, or nil if there is no certificate.
func ParseKeyFile(text string) (*rsa.PrivateKey, *x509.Certificate, error) {
	blocks, err := pemtext.Read(text)
	if err != nil {
		return nil, nil, err
	}
	private, err := onlyPrivate(blocks)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range blocks {
		if public, ok := publicKey(b); ok && !private.PublicKey.Equal(public) {
			return nil, nil, errors.New("holds a public key of another key besides; give the private key alone")
		}
	}
	cert, err := holder(blocks, private)
	switch {
	case errors.Is(err, errNone):
		return private, nil, nil
	case errors.Is(err, errOthers):
		return nil, nil, errors.New("holds a certificate of another key besides; give the private key alone, or with its own " +
			"certificate")
	case err != nil:
		return nil, nil, err
	}
	return private, cert, nil
}

// onlyPrivate returns the RSA key among blocks that hold no other private key.
func onlyPrivate(blocks []pemtext.Block) (*rsa.PrivateKey, error) {
	var found *pemtext.Block
	for i, b := range blocks {
		if !b.Kind.Private() {
			continue
		}
		if found != nil {
			return nil, errTwoKeys
		}
		found = &blocks[i]
	}
	if found == nil {
		return nil, noPrivateKey(blocks)
	}
	switch found.Kind {
	case pemtext.PKCS1:
		key, err := x509.ParsePKCS1PrivateKey(found.DER)
		if err != nil {
			return nil, errDamaged
		}
		return checkSize(key)
	case pemtext.PKCS8:
		return parsePKCS8(found.DER)
	case pemtext.EC:
		return nil, fmt.Errorf(otherAlgorithm, "an elliptic curve")
	case pemtext.DSA:
		return nil, fmt.Errorf(otherAlgorithm, "a DSA")
	case pemtext.Encrypted:
		return nil, errEncrypted
	default:
		return nil, convert(found.Kind, found.Kind.ToPrivateKey())
	}
}

// noPrivateKey says what blocks hold in the place of a private key. Of several, the first that can be converted is
// named, else the first.
func noPrivateKey(blocks []pemtext.Block) error {
	for _, b := range blocks {
		if command := b.Kind.ToPrivateKey(); command != "" {
			return convert(b.Kind, command)
		}
	}
	return fmt.Errorf("holds %s where the private key belongs; %s", blocks[0].Kind, givePrivate)
}

func convert(kind pemtext.Kind, command string) error {
	return fmt.Errorf("holds %s; convert it with `%s`, and give that file", kind, command)
}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if !holdsRSA(der) {
			return nil, fmt.Errorf(otherAlgorithm, "another kind of")
		}
		return nil, errDamaged
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return checkSize(k)
	case *ecdsa.PrivateKey:
		return nil, fmt.Errorf(otherAlgorithm, "an elliptic curve")
	case ed25519.PrivateKey:
		return nil, fmt.Errorf(otherAlgorithm, "an Ed25519")
	default:
		return nil, fmt.Errorf(otherAlgorithm, "another kind of")
	}
}

// holdsRSA tells whether a PKCS#8 key that x509 cannot read is an RSA key, or no key at all.
func holdsRSA(der []byte) bool {
	var key struct { // RFC 5208, section 5
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return true
	}
	return key.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})
}

func checkSize(k *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if bits := k.N.BitLen(); bits < MinBits || bits > MaxBits {
		return nil, fmt.Errorf("holds an RSA key of %d bits; between %d and %d are accepted", bits, MinBits, MaxBits)
	}
	return k, nil
}

// publicKey returns the public key in a block that holds one and nothing else.
func publicKey(b pemtext.Block) (any, bool) {
	var public any
	var err error
	switch b.Kind {
	case pemtext.PublicKey:
		public, err = x509.ParsePKIXPublicKey(b.DER)
	case pemtext.PKCS1Public:
		public, err = x509.ParsePKCS1PublicKey(b.DER)
	default:
		return nil, false
	}
	if err != nil {
		return nil, true // readable or not, it is not the key's
	}
	return public, true
}
