package workfront

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
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
func waitFits(ctx context.Context, attempt int, resp *http.Response) bool {
	deadline, ok := ctx.Deadline()
	if !ok {
		return true
	}
	if resp != nil {
		// go-retryablehttp's wait overflows on an absurd number of seconds.
		seconds, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 64)
		if errors.Is(err, strconv.ErrRange) || seconds > maxRetryAfter {
			return false
		}
	}
	return retryablehttp.DefaultBackoff(minRetryWait, maxRetryWait, attempt, resp) < time.Until(deadline)
}

// maxRetryAfter is the longest wait in seconds that is worth a look at the deadline.
const maxRetryAfter = 3600

// mayPass tells a failure of the network, which may pass by itself, from one that somebody has to mend: a
// certificate that is not trusted, a TLS version, a name that does not exist.
func mayPass(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return !isTLS(err) && !errors.Is(err, errUpgrade)
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

// transportError makes the error for a request that brought no answer. Of what net/http says, only the texts of errors that
// come from below HTTP get into it: the others quote the answer, which may quote what was sent.
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
	var below *net.OpError
	var unsent *unsentError
	reason := "the connection failed: " + clean(cause.Error())
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &UnavailableError{Reason: "it did not answer in the time allowed", Transient: true, Err: err}
	case errors.As(err, &unknownCA):
		return &UnavailableError{Reason: "its certificate is signed by an unknown CA; if a gateway with a CA of its own " +
			"stands in between, give that CA's certificate as ca_cert: " + clean(cause.Error()), Err: err}
	case isTLS(err):
		reason = "no TLS connection could be made: " + clean(cause.Error())
	case errors.As(err, &below):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		reason = "it closed the connection before its answer was complete"
	case errors.As(err, &unsent):
		reason = "a proxy in between (HTTPS_PROXY in the environment of Vault) did not let the connection through"
	default:
		reason = "its answer is not valid HTTP"
	}
	return &UnavailableError{Reason: reason, Transient: mayPass(err), Err: err}
}
