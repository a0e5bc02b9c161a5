// Package workfront speaks Workfront's HTTP API, as far as issuing sessions needs it: it signs the assertion, exchanges it for
// a session, and logs the session out. It decides how many calls go to a host at a time. It knows nothing of Vault.
package workfront

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"
)

// Endpoint is a Workfront host and whom to trust there. It can be compared, so that one Client can be kept for
// each.
type Endpoint struct {
	BaseURL string `json:"base_url"`          // as ParseBaseURL returns it
	CACert  string `json:"ca_cert,omitempty"` // PEM certificates, trusted besides the system's; may be empty
}

// Client talks to one Endpoint. It is made by Clients.Client, keeps connections alive and is safe for concurrent use.
type Client struct {
	*remote
	background bool
	observer   func(Observation) // may be nil
}

// remote is what a Client and its views have in common.
type remote struct {
	endpoint   Endpoint
	host       *host
	transports transports
	proxies    *proxies
	userAgent  string
	now        func() time.Time
	usage      usage
}

// Background returns a view of c for calls that no reader and no revocation waits for (pending logouts, checks of
// shared sessions): they leave to other calls the slots that are for one kind of call alone, and every slot that
// another call waits for.
func (c *Client) Background() *Client {
	return &Client{remote: c.remote, background: true, observer: c.observer}
}

// Observed returns a view of c that tells observer of each attempt that a call makes, in the goroutine of the call.
func (c *Client) Observed(observer func(Observation)) *Client {
	return &Client{remote: c.remote, background: c.background, observer: observer}
}

// ParseCACert checks that text holds PEM certificates and nothing that is not one.
func ParseCACert(text string) error {
	_, err := rootCAs(text)
	return err
}

func rootCAs(caCert string) (*x509.CertPool, error) {
	if caCert == "" {
		return nil, nil // the system's roots
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		// A container without root certificates still has those of ca_cert.
		roots = x509.NewCertPool()
	}
	found := false
	for rest := []byte(caCert); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found = true
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("holds a PEM block of another kind than CERTIFICATE; give the CA's certificates alone")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a damaged CERTIFICATE block; give the CA's certificates again, whole")
		}
		roots.AddCert(cert)
	}
	if !found {
		return nil, errors.New("holds no PEM certificate; give the CA's certificate, beginning with -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}
