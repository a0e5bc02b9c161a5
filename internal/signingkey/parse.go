package signingkey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// The types of PEM block that are met in practice.
const (
	typePKCS1          = "RSA PRIVATE KEY"
	typePKCS8          = "PRIVATE KEY"
	typePKCS8Encrypted = "ENCRYPTED PRIVATE KEY"
	typeEC             = "EC PRIVATE KEY"
	typeOpenSSH        = "OPENSSH PRIVATE KEY"
	typePublic         = "PUBLIC KEY"
	typePKCS1Public    = "RSA PUBLIC KEY"
	typeCertificate    = "CERTIFICATE"
)

// The errors of this file are put behind the name of a field. They never hold any of the input.
var errEncrypted = errors.New("is encrypted with a passphrase, which Vault cannot ask for; decrypt it first, with " +
	"`openssl pkey -in private.key -out decrypted.key`, and delete that file afterwards")

const otherAlgorithm = "holds %s key, but Workfront verifies RS256, which needs RSA; make one with " +
	"`openssl req -x509 -sha256 -nodes -newkey rsa:2048 -keyout private.key -out certificate_pub.crt`"

// ParsePrivateKey reads an unencrypted RSA private key from PEM, PKCS#1 or PKCS#8. CRLF line ends are read, and
// so is a key whose line ends were turned into a literal \n on its way through JSON or an environment variable.
func ParsePrivateKey(text string) (*rsa.PrivateKey, error) {
	block, err := onlyBlock(text, "an unencrypted RSA private key")
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case typePKCS1:
		// A key in the old style of OpenSSL is encrypted by headers inside a block of the usual type.
		if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, errEncrypted
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case typePKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case typePKCS8Encrypted:
		return nil, errEncrypted
	case typeEC:
		return nil, fmt.Errorf(otherAlgorithm, "an elliptic curve")
	case typeOpenSSH:
		return nil, errors.New("is in OpenSSH's own format; convert it with `ssh-keygen -p -m PEM -N '' -f private.key`")
	case typeCertificate:
		return nil, errors.New("holds a certificate where the private key belongs; give the file that begins with -----BEGIN PRIVATE KEY-----")
	case typePublic, typePKCS1Public:
		return nil, errors.New("holds a public key where the private key belongs; give the file that begins with -----BEGIN PRIVATE KEY-----")
	default:
		return nil, errors.New("holds a PEM block of another kind; give the file that begins with -----BEGIN PRIVATE KEY-----")
	}
	if err != nil {
		if block.Type == typePKCS8 && !holdsRSA(block.Bytes) {
			return nil, fmt.Errorf(otherAlgorithm, "another kind of")
		}
		return nil, errors.New("is damaged: its PEM block holds no readable private key; copy the file again, whole")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < MinBits || bits > MaxBits {
			return nil, fmt.Errorf("holds an RSA key of %d bits; between %d and %d are accepted", bits, MinBits, MaxBits)
		}
		return k, nil
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

// ParseCertificate reads one certificate from PEM and checks that it holds the public half of private.
func ParseCertificate(text string, private *rsa.PrivateKey) (*Key, error) {
	block, err := onlyBlock(text, "the certificate")
	if err != nil {
		return nil, err
	}
	if block.Type != typeCertificate {
		return nil, errors.New("holds no certificate; give the file that begins with -----BEGIN CERTIFICATE-----")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("is damaged: its PEM block holds no readable certificate; copy the file again, whole")
	}
	if !private.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("belongs to another key than private_key; give the one that was made with it, or leave it out to have one made")
	}
	return &Key{Private: private, Certificate: cert}, nil
}

// onlyBlock returns the one PEM block in text.
func onlyBlock(text, wanted string) (*pem.Block, error) {
	// No character of PEM is a backslash.
	text = strings.ReplaceAll(strings.ReplaceAll(text, `\r`, ""), `\n`, "\n")
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("is not PEM; give the text of the file with %s, from -----BEGIN to -----END, "+
			"for example by @file on the command line", wanted)
	}
	if another, _ := pem.Decode(rest); another != nil {
		return nil, fmt.Errorf("holds more than one PEM block; give %s alone", wanted)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("holds text behind its PEM block; give %s alone", wanted)
	}
	return block, nil
}
