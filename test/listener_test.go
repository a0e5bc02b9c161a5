//go:build e2e

package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A listener is a host of an attacker's: it keeps every byte that comes, as it was before TLS, and plays a Workfront that
// takes everybody.
type listener struct {
	net.Listener
	url, caCert string
	connections atomic.Int64

	mu  sync.Mutex
	got bytes.Buffer
}

// stolenSession is what it answers an exchange with.
const stolenSession = "5e551015e551015e551015e551015e55"

// listen starts one on a free port.
func listen(t *testing.T) *listener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, caCert := selfSigned(t)
	l := &listener{url: "https://" + inner.Addr().String(), caCert: caCert}
	l.Listener = tls.NewListener(countingListener{inner, &l.connections}, &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	})
	server := &http.Server{
		Handler:           http.HandlerFunc(l.serve),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l
}

// countingListener counts connections before TLS: one that comes to no handshake counts.
type countingListener struct {
	net.Listener
	count *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.count.Add(1)
	}
	return conn, err
}

// Accept returns connections whose bytes are kept.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &keptConn{conn, l}, nil
}

type keptConn struct {
	net.Conn
	of *listener
}

func (c *keptConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.got.Write(b[:n])
	return n, err
}

func (l *listener) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	answer := `{"data":{"ID":"x"}}`
	switch {
	case strings.HasSuffix(r.URL.Path, "/jwt/exchange"):
		answer = `{"access_token":"` + stolenSession + `","token_type":"sessionID","expires_in":600}`
	case strings.HasSuffix(r.URL.EscapedPath(), "/logout"):
		answer = `{"data":{"success":true}}`
	}
	_, _ = io.WriteString(w, answer)
}

// text is all that came.
func (l *listener) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.got.Bytes())
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) (certificate tls.Certificate, caCert string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
