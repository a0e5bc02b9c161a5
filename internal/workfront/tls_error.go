package workfront

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
)

// handshakeError marks a connection that failed in its TLS handshake.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// cutOffError marks a connection that ended before the first byte of an answer.
type cutOffError struct{ err error }

func (e *cutOffError) Error() string { return e.err.Error() }
func (e *cutOffError) Unwrap() error { return e.err }

// isTLS reports whether err is a fault of the other side's TLS, rather than of the network below it.
func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	if errors.As(err, &verification) || errors.As(err, &header) {
		return true
	}
	if _, is := alertOf(err); is {
		return true
	}
	// What else a handshake fails with, but for the end of the connection, has no type of its own.
	var handshake *handshakeError
	var below net.Error
	return errors.As(err, &handshake) && !errors.As(err, &below) && !isEnd(err)
}

// isEnd reports whether err is the end of a connection: closed or reset, not timed out.
func isEnd(err error) bool {
	var below *net.OpError
	if errors.As(err, &below) {
		return (below.Op == "read" || below.Op == "write") && !below.Timeout()
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// alertOf returns the number of the TLS alert that ended a connection (RFC 8446, section 6). Its type is not
// exported: a number of 8 bits, in a net.OpError of these operations.
func alertOf(err error) (number uint64, is bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" && op.Op != "local error" {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		number = v.Uint()
	}
	return number, true
}

// alertNames are those of RFC 8446, section 6, and of RFC 5246, section 7.2, that servers and middleboxes send.
var alertNames = map[uint64]string{
	10: "unexpected message", 20: "bad record MAC", 22: "record overflow", 40: "handshake failure", 42: "bad certificate",
	43: "unsupported certificate", 44: "certificate revoked", 45: "certificate expired", 46: "certificate unknown",
	47: "illegal parameter", 48: "unknown CA", 49: "access denied", 50: "decode error", 51: "decrypt error",
	70: "protocol version", 71: "insufficient security", 80: "internal error", 86: "inappropriate fallback",
	109: "missing extension", 112: "unrecognized name", 116: "certificate required", 120: "no application protocol",
}

// tlsReason words a failure of TLS from its kind. None of Go's text is in it, because that quotes the certificate, in
// which the other side can write anything; the certificate is named by its fingerprint.
func tlsReason(err error) string {
	const none = "no TLS connection could be made: "
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	alert, alerted := alertOf(err)
	switch {
	case errors.As(err, &unknownCA):
		return "its certificate is signed by an unknown CA" + fingerprint(err) + "; if a gateway with a CA of its own is in between, " +
			"set that CA's certificate as ca_cert"
	case errors.As(err, &wrongName):
		return none + "its certificate is for another name" + fingerprint(err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return none + "its certificate has expired or is not valid yet" + fingerprint(err)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return none + "its certificate is not for a TLS server" + fingerprint(err)
	case errors.As(err, &verification):
		return none + "its certificate is not valid" + fingerprint(err)
	case errors.As(err, &header):
		return none + "it does not speak TLS on that port"
	case alerted:
		name := alertNames[alert]
		if name == "" {
			name = "of another kind"
		}
		return fmt.Sprintf("%sthe handshake ended with TLS alert %d (%s)", none, alert, name)
	case isEnd(err):
		return none + "the connection ended during the handshake"
	}
	return none + "the handshake failed; it may support neither TLS 1.2 nor TLS 1.3"
}

// fingerprint names the certificate that was not accepted, as openssl x509 -fingerprint -sha256 prints it.
func fingerprint(err error) string {
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(verification.UnverifiedCertificates[0].Raw)
	return " (SHA-256 fingerprint " + strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":") + ")"
}
