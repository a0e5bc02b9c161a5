package workfront

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Waits between attempts, where Workfront does not name one itself by Retry-After: twice as long after each.
const (
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 2 * time.Second
)

// A retryRule says after which outcomes a request may be sent again. There is either an answer or an error.
type retryRule func(a *answer, err error) bool

// retryIfNotStarted is the rule for what must not happen twice: another attempt only where Workfront cannot
// have acted on the first one.
func retryIfNotStarted(a *answer, err error) bool {
	if err != nil {
		var unsent *unsentError
		return errors.As(err, &unsent) && mayPass(err)
	}
	return a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusServiceUnavailable
}

// retryIfTransient is the rule for what may happen twice.
func retryIfTransient(a *answer, err error) bool {
	if err != nil {
		return mayPass(err)
	}
	return transientStatus(a.StatusCode)
}

func transientStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryWait is how long to wait before attempt n+2.
func retryWait(n int, a *answer) time.Duration {
	if a != nil && (a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusServiceUnavailable) {
		if stated, ok := retryAfter(a.Response); ok {
			return stated
		}
	}
	return min(minRetryWait<<n, maxRetryWait)
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3): seconds or a date. Seconds beyond what a duration holds
// become the longest duration.
func retryAfter(resp *http.Response) (wait time.Duration, ok bool) {
	value := resp.Header.Get("Retry-After")
	seconds, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err == nil && seconds < 0:
		return 0, false
	case err == nil && seconds <= int64(math.MaxInt64/time.Second):
		return time.Duration(seconds) * time.Second, true
	case err == nil, errors.Is(err, strconv.ErrRange) && seconds > 0:
		return math.MaxInt64, true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return max(time.Until(date), 0), true
}

// sleep waits for d, or until ctx is cancelled.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("call workfront: %w", ctx.Err())
	}
}

// mayPass tells a failure of the network, which may pass by itself, from one that somebody has to mend: a
// certificate that is not trusted, a TLS version, a name that does not exist, a proxy that declines, an answer that is no
// answer of Workfront's.
func mayPass(err error) bool {
	var dns *net.DNSError
	var refusal *proxyRefusal
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return false
	case errors.As(err, &refusal):
		return transientStatus(refusal.status)
	}
	return !isTLS(err) && !errors.Is(err, errUpgrade) && !errors.Is(err, errTooLong)
}

// errTooLong stands for an answer of status 2xx that is longer than any of Workfront's.
var errTooLong = errors.New("the answer is too long")

// transportError makes the error for a request that brought no answer. Of what net/http says, only the texts of
// errors that come from below TLS get into it: the others quote the answer, which may quote what was sent, or the
// certificate. through describes the proxy, if there is one.
func transportError(err error, through string) error {
	var timeout net.Error
	var below *net.OpError
	var handshake *handshakeError
	var cutOff *cutOffError
	var refusal *proxyRefusal
	var unsent *unsentError
	isUnsent := errors.As(err, &unsent)
	isTLS := isTLS(err) || errors.As(err, &handshake)
	e := &UnavailableError{Transient: mayPass(err), Proxy: through, Err: err}
	said := clean(err.Error())
	if isTLS {
		said = tlsReason(err)
	}
	switch {
	case errors.As(err, &refusal):
		e.Status = refusal.status
		e.Reason = fmt.Sprintf("the proxy %s does not let the connection through (HTTP status %d)", through, refusal.status)
		if refusal.status == http.StatusProxyAuthRequired {
			e.Reason = fmt.Sprintf("the proxy %s demands authentication (HTTP status 407); put the right user and password into its URL "+
				"and restart the plugin", through)
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Reason, e.Transient = "it did not answer in the time allowed", true
		if isUnsent && through != "" {
			e.Reason = fmt.Sprintf("there was no connection through the proxy %s in the time allowed", through)
		}
	case errors.Is(err, errTooLong):
		e.Reason = fmt.Sprintf("its answer is longer than %d bytes; check that base_url is your Workfront domain", maxBody)
	case errors.As(err, &below) && below.Op == "proxyconnect":
		e.Reason = fmt.Sprintf("the proxy %s cannot be reached: %s", through, said)
	case isTLS:
		e.Reason, e.Handshake = said, true
	case below != nil:
		e.Reason = "the connection failed: " + said
	case isUnsent && through != "":
		e.Reason = fmt.Sprintf("the proxy %s closed the connection, or its answer is not valid HTTP", through)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Reason = "it closed the connection before its answer was complete"
	default:
		e.Reason = fmt.Sprintf("its answer is not valid HTTP, or has more than %d bytes of headers", maxHeader)
	}
	e.CutOff = errors.As(err, &cutOff)
	return e
}
