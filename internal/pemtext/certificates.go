package pemtext

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// Errors of a certificate, put behind what names it.
var (
	errNegativeSerial = errors.New("has a negative serial number, which RFC 5280 forbids; have the certificate " +
		"issued again")
	errNoCertificate = errors.New("holds no readable certificate; copy the file again, whole")
)

// ParseCertificate reads the certificate in a block of Kind Certificate or TrustedCertificate. Its errors are put
// behind what names the block.
func ParseCertificate(b Block) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(b.DER)
	switch {
	case err == nil:
		return cert, nil
	case hasNegativeSerial(b.DER):
		return nil, errNegativeSerial
	default:
		return nil, errNoCertificate
	}
}

func hasNegativeSerial(der []byte) bool {
	cert, _, _ := element(der)
	signed, _, _ := element(cert.Bytes)
	serial, rest, _ := element(signed.Bytes)
	if letter(serial) == '0' { // the version
		serial, _, _ = element(rest)
	}
	return letter(serial) == 'I' && len(serial.Bytes) > 0 && serial.Bytes[0] >= 0x80
}

// Certificates returns the certificates of text, all of them CAs to be trusted, as plain PEM. Anything but a
// certificate is an error, and so is a certificate with OpenSSL's settings of trust: without them, it might be trusted
// for what they except. An empty text holds none, and is no error.
func Certificates(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	blocks, err := Read(text)
	if errors.Is(err, ErrNotPEM) {
		return "", errors.New("holds no PEM certificate; give the certificate of the CA, " +
			"beginning with -----BEGIN CERTIFICATE-----")
	}
	if err != nil {
		return "", err
	}
	for i, b := range blocks {
		if b.Kind == Certificate {
			if _, err := ParseCertificate(b); err != nil {
				return "", fmt.Errorf("cannot be used: PEM block %d %w", i+1, err)
			}
			continue
		}
		if command := b.Kind.ToCertificate(); command != "" {
			return "", fmt.Errorf("holds %s; convert it with `%s`, and give that file", b.Kind, command)
		}
		return "", fmt.Errorf("holds %s as PEM block %d; give CA certificates alone, each beginning with "+
			"-----BEGIN CERTIFICATE-----", b.Kind, i+1)
	}
	return Encode(blocks...), nil
}
