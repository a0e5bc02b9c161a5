// Package workfront speaks Workfront's HTTP API, as far as lending out sessions needs it: it signs the
// assertion, exchanges it for a session, and logs the session out. It knows nothing of Vault.
package workfront

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxBody is how much of an answer is read, in bytes.
	maxBody = 1 << 20
	// maxConnections is how many connections go to one endpoint: Workfront limits concurrent API threads.
	maxConnections = 32
	// Waits between attempts, where Workfront does not name one itself by Retry-After.
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 2 * time.Second
)

// Endpoint is a Workfront host and whom to trust there. It can be compared, so that one Client can be kept for
// each.
type Endpoint struct {
	BaseURL string `json:"base_url"`          // as ParseBaseURL returns it
	CACert  string `json:"ca_cert,omitempty"` // PEM certificates, trusted besides the system's; may be empty
}

// Client talks to one Endpoint. It keeps connections alive and is safe for concurrent use.
type Client struct {
	endpoint Endpoint
	http     *http.Client
	now      func() time.Time
	closed   atomic.Bool

	logoutMethod *logoutMethod
}

// NewClient returns a client for e. Time is read from now. It fails if CACert holds no certificate.
func NewClient(e Endpoint, now func() time.Time) (*Client, error) {
	roots, err := rootCAs(e.CACert)
	if err != nil {
		return nil, err
	}
	// The transport takes proxies from the process environment. It speaks HTTP/1.1 only (no
	// ForceAttemptHTTP2): with one request on a connection, a connection that breaks fails one exchange,
	// and the limit on connections is a limit on concurrent calls, which is what Workfront counts.
	transport := cleanhttp.DefaultPooledTransport()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	transport.ForceAttemptHTTP2 = false
	transport.MaxConnsPerHost = maxConnections
	transport.MaxIdleConnsPerHost = maxConnections
	return &Client{
		endpoint:     e,
		now:          now,
		logoutMethod: &logoutMethod{},
		http: &http.Client{
			Transport: wholeTripper{transport},
			// A redirect would take the client secret to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close drops idle connections, and keeps none from now on. Calls under way are not disturbed.
func (c *Client) Close() {
	c.closed.Store(true)
	c.http.CloseIdleConnections()
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

// unsentError marks a request that never got a connection, so that Workfront cannot have acted on it.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// errUpgrade stands for an answer that turns the connection into something else, which would have no end.
var errUpgrade = errors.New("the answer switches protocols")

// wholeTripper returns answers whole or not at all, so that one that breaks off counts as a failure of the request, and marks
// the errors of requests that never got a connection.
type wholeTripper struct{ http.RoundTripper }

func (t wholeTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	connected := false
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}
	resp, err := t.RoundTripper.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		if !connected {
			err = &unsentError{err}
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, errUpgrade
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	// http.Client would read where a redirect leads before it asks whether to follow it.
	resp.Header.Del("Location")
	return resp, nil
}

// CloseIdleConnections is looked for by http.Client.
func (t wholeTripper) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// answer is what came back, and when the attempt that it answers was sent.
type answer struct {
	*http.Response
	body   []byte
	sentAt time.Time
}

// do sends req, again up to maxRetries times where rule allows it, within the deadline of its context. An error is
// always an *UnavailableError, or the cancellation of that context.
func (c *Client) do(req *http.Request, maxRetries int, rule retryRule) (*answer, error) {
	defer func() {
		if c.closed.Load() {
			c.http.CloseIdleConnections() // nobody uses again what this call has left open
		}
	}()
	retryReq, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, fmt.Errorf("prepare request: %w", err)
	}
	var sentAt time.Time
	var attempt int
	retrying := &retryablehttp.Client{
		HTTPClient:     c.http,
		RetryWaitMin:   minRetryWait,
		RetryWaitMax:   maxRetryWait,
		RetryMax:       maxRetries,
		Backoff:        retryablehttp.DefaultBackoff, // honours Retry-After
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
		RequestLogHook: func(_ retryablehttp.Logger, _ *http.Request, n int) { sentAt, attempt = c.now(), n },
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			if !rule(resp, err) {
				return false, nil
			}
			return waitFits(ctx, attempt, resp), context.Cause(ctx)
		},
	}
	resp, err := retrying.Do(retryReq)
	if err != nil {
		return nil, transportError(req.Context(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, transportError(req.Context(), err)
	}
	if len(body) > maxBody {
		return nil, &UnavailableError{Reason: fmt.Sprintf("its answer is longer than %d bytes; check that base_url is your Workfront domain", maxBody)}
	}
	return &answer{Response: resp, body: body, sentAt: sentAt}, nil
}
