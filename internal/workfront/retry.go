package workfront

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// A retryRule says after which failures a request may be sent again.
type retryRule func(resp *http.Response, err error) bool

// retryIfNotStarted is the rule for what must not happen twice: another attempt only where Workfront cannot
// have acted on the first one.
func retryIfNotStarted(resp *http.Response, err error) bool {
	if err != nil {
		var unsent *unsentError
		return errors.As(err, &unsent) && mayPass(err)
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
}

// retryIfTransient is the rule for what may happen twice.
func retryIfTransient(resp *http.Response, err error) bool {
	if err != nil {
		return mayPass(err)
	}
	return transientStatus(resp.StatusCode)
}

func transientStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// waitFits tells whether the wait before another attempt ends before the deadline of ctx. If it does not, the
// caller is better served by the answer at hand, at once.
func waitFits(ctx context.Context, resp *http.Response) bool {
	if ctx.Err() != nil {
		return false
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return true
	}
	// An absurd Retry-After overflows to a negative wait.
	wait := retryablehttp.DefaultBackoff(minRetryWait, minRetryWait, 0, resp)
	return wait >= 0 && wait < time.Until(deadline)
}

// mayPass tells a failure of the network, which may pass by itself, from one that somebody has to mend: a
// certificate that is not trusted, a TLS version, a name that does not exist.
func mayPass(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return !isTLS(err)
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	if errors.As(err, &verification) || errors.As(err, &header) {
		return true
	}
	// An alert has no exported type; it comes in a net.OpError of these operations.
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

// transportError makes the error for a request that brought no answer. Only the text of errors of the standard
// library gets into it: they hold addresses and certificate names, never what was sent.
func transportError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("call workfront: %w", context.Canceled)
	}
	cause := err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		cause = u.Err // without the method and URL that url.Error puts in front
	}
	var timeout net.Error
	var unknownCA x509.UnknownAuthorityError
	reason := "the connection failed: "
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &UnavailableError{Reason: "it did not answer in the time allowed", Transient: true, Err: err}
	case errors.As(err, &unknownCA):
		return &UnavailableError{Reason: "its certificate is signed by an unknown CA; if a gateway with a CA of its own " +
			"stands in between, give that CA's certificate as ca_cert: " + clean(cause.Error()), Err: err}
	case isTLS(err):
		reason = "no TLS connection could be made: "
	}
	return &UnavailableError{Reason: reason + clean(cause.Error()), Transient: mayPass(err), Err: err}
}
