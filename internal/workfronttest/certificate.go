package workfronttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

// TLSOptions describes the server's side of TLS. The zero value is a good certificate for 127.0.0.1, ::1 and
// localhost, signed by the CA of CACert, and TLS 1.2 or newer.
type TLSOptions struct {
	// DNSNames, if set, are the only names in the certificate: clients of the server's URL see a wrong name.
	DNSNames []string
	// NotAfter, if set, is the end of the certificate's validity, and may be past.
	NotAfter time.Time
	// MaxVersion, if set, is the newest TLS version offered, such as tls.VersionTLS11. Below TLS 1.2, TLS 1.0 and
	// later are offered.
	MaxVersion uint16
	// UnknownCA has the certificate signed by a CA that is not the one of CACert.
	UnknownCA bool
}

// authority is a CA made for one Server.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         string
}

func newAuthority() (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "workfronttest CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	key, der, err := issue(template, nil)
	if err != nil {
		return nil, fmt.Errorf("make ca: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make ca: %w", err)
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: der}
	return &authority{key: key, certificate: certificate, pem: string(pem.EncodeToMemory(block))}, nil
}

// issue generates a key and a certificate for it, self-signed if there is no CA.
func issue(template *x509.Certificate, ca *authority) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.certificate, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return key, der, err
}

func (a *authority) serverConfig(o TLSOptions) (*tls.Config, error) {
	notAfter := o.NotAfter
	if notAfter.IsZero() {
		notAfter = time.Now().AddDate(0, 1, 0)
	}
	notBefore := time.Now().Add(-time.Hour)
	if !notBefore.Before(notAfter) {
		notBefore = notAfter.Add(-24 * time.Hour)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "workfronttest"},
		DNSNames:    o.DNSNames,
		NotBefore:   notBefore,
		NotAfter:    notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(o.DNSNames) == 0 {
		template.DNSNames = []string{"localhost"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	signer := a
	if o.UnknownCA {
		stranger, err := newAuthority()
		if err != nil {
			return nil, err
		}
		signer = stranger
	}
	key, der, err := issue(template, signer)
	if err != nil {
		return nil, fmt.Errorf("make server certificate: %w", err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
		MaxVersion:   o.MaxVersion,
	}
	if o.MaxVersion != 0 && o.MaxVersion < tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS10
	}
	return config, nil
}

func (a *authority) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: 32,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
