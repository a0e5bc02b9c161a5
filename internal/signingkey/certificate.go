package signingkey

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

var (
	errNone   = errors.New("holds no certificate")
	errOthers = errors.New("belongs to another key than private_key; give the one that was issued for it, or leave it " +
		"out to have one generated")
	errTwoCertificates = errors.New("holds two certificates of the private key; give the one that is registered in " +
		"Workfront, alone")
)

// ParseCertificate reads the certificate that holds the public half of private, in any of the forms that pemtext
// reads. There may be others beside it, such as the rest of a chain, and keys, which are left out.
func ParseCertificate(text string, private *rsa.PrivateKey) (*Key, error) {
	blocks, err := pemtext.Read(text)
	if err != nil {
		return nil, err
	}
	cert, err := holder(blocks, private)
	if errors.Is(err, errNone) {
		for _, b := range blocks {
			if command := b.Kind.ToCertificate(); command != "" {
				return nil, convert(b.Kind, command)
			}
		}
		return nil, fmt.Errorf("holds %s, and no certificate; %s", blocks[0].Kind, giveCertificate)
	}
	if err != nil {
		return nil, err
	}
	return &Key{Private: private, Certificate: cert}, nil
}

// holder returns the one certificate among blocks that holds the public half of private. Those that hold another key
// do not have to be readable. errNone: there is no certificate at all; errOthers: none of them holds it.
func holder(blocks []pemtext.Block, private *rsa.PrivateKey) (*x509.Certificate, error) {
	var found *x509.Certificate
	err := errNone
	for i, b := range blocks {
		if b.Kind != pemtext.Certificate && b.Kind != pemtext.TrustedCertificate {
			continue
		}
		cert, unreadable := pemtext.ParseCertificate(b)
		switch {
		case unreadable != nil:
			err = fmt.Errorf("cannot be used: PEM block %d %w", i+1, unreadable)
		case !private.PublicKey.Equal(cert.PublicKey):
			if errors.Is(err, errNone) {
				err = errOthers
			}
		case found != nil && !found.Equal(cert):
			return nil, errTwoCertificates
		default:
			found = cert
		}
	}
	if found == nil {
		return nil, err
	}
	return found, nil
}
