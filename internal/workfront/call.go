package workfront

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// call is a request to Workfront, and how it is sent.
type call struct {
	request    *http.Request // without a body; its context permits sending
	kind       kind
	maxRetries int
	rule       retryRule
	body       func() (string, error) // nil: no body. Called once, when the turn of the first attempt has come
	onSend     func()                 // may be nil; called before each attempt is sent, after its turn has come
	// timeout, if set, is what each attempt is given from its sending, whatever becomes of the request's context then. An attempt
	// that is still without a connection when that context ends is not sent.
	timeout time.Duration
}

// answer is what came back, and when the attempt that it answers was sent.
type answer struct {
	*http.Response
	body   []byte // whole if the status is 2xx, else its first 64 KiB
	sentAt time.Time
	proxy  string // as in UnavailableError
}

// do sends r, again up to maxRetries times where its rule allows it. Each attempt waits for its turn. One that has less than a
// quarter of its time left when that comes is not sent: it would tell of a timeout that is not Workfront's. An error is an
// *UnavailableError, a *BusyError (the turn of the first attempt did not come), an error of r.body, or the cancellation of the
// request's context.
func (c *Client) do(r call) (*answer, error) {
	c.usage.begin()
	defer c.usage.end()
	if c.proxies.err != nil {
		return nil, c.proxies.err
	}
	r.request.Header.Set("Accept-Encoding", "identity")
	if c.userAgent != "" {
		r.request.Header.Set("User-Agent", c.userAgent)
	}
	ctx := r.request.Context()
	latest := latestSending(ctx, r.timeout)
	var body string
	var a *answer
	var failure error
	for n := 0; ; n++ {
		release, err := c.host.limit.acquire(ctx, r.kind, c.background, latest)
		var busy *BusyError
		if n > 0 && errors.As(err, &busy) {
			return c.conclude(r, a, failure) // what came of the last attempt tells more
		}
		if err != nil {
			return nil, err
		}
		if n == 0 && r.body != nil {
			if body, err = r.body(); err != nil {
				release()
				return nil, err
			}
		}
		begun := time.Now()
		a, failure = c.attempt(r, body)
		took := time.Since(begun)
		if a != nil && a.StatusCode == http.StatusTooManyRequests {
			stated, _ := retryAfter(a.Response)
			c.host.limit.refused(stated)
		}
		release()
		if c.observer != nil {
			c.observer(observation(r.request, a, took))
		}
		wait := retryWait(n, a)
		if n >= r.maxRetries || !r.rule(a, failure) || !latest.IsZero() && !time.Now().Add(wait).Before(latest) {
			return c.conclude(r, a, failure)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// latestSending is until when an attempt may be sent: a quarter of what ctx leaves now, of timeout at most (unless that is 0), is
// for the answer. It is zero if there is no end to it. A reader whose request may take less than request_timeout, because of
// a listener's max_request_duration, has a quarter of that to wait for the answer.
func latestSending(ctx context.Context, timeout time.Duration) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	patience := time.Until(deadline)
	if timeout > 0 {
		patience = min(patience, timeout)
	}
	return deadline.Add(-patience / 4)
}

// conclude makes the result of a call that is not tried again.
func (c *Client) conclude(r call, a *answer, failure error) (*answer, error) {
	through := c.proxies.through(r.request.URL)
	switch ctx := r.request.Context(); {
	case failure == nil && a.StatusCode == http.StatusProxyAuthRequired && through != "":
		return nil, transportError(&proxyRefusal{a.StatusCode}, through)
	case failure == nil:
		a.proxy = through
		return a, nil
	case errors.Is(ctx.Err(), context.Canceled) && (r.timeout == 0 || errors.Is(failure, context.Canceled)):
		return nil, fmt.Errorf("call workfront: %w", context.Canceled)
	}
	return nil, transportError(failure, through)
}

// attempt sends r once, and returns its answer whole or not at all. An attempt that was not sent, so that Workfront cannot have
// acted on it, ends in an *unsentError.
func (c *Client) attempt(r call, body string) (*answer, error) {
	permit := r.request.Context()
	ctx := permit
	sending := &permission{}
	if r.timeout > 0 {
		detached, cancel := context.WithCancelCause(context.WithoutCancel(permit))
		defer cancel(nil)
		stop := context.AfterFunc(permit, func() {
			if sending.withdraw() {
				cancel(context.Cause(permit))
			}
		})
		defer stop()
		timed, cancelTimed := context.WithTimeout(detached, r.timeout)
		defer cancelTimed()
		ctx = timed
	}
	got := &progress{}
	ctx = httptrace.WithClientTrace(ctx, got.trace())
	req := r.request.WithContext(ctx)
	if r.body != nil {
		req.ContentLength = int64(len(body))
		// net/http asks for the body again where it has written nothing to a connection that it had kept.
		req.GetBody = func() (io.ReadCloser, error) { return &permittedBody{*strings.NewReader(body), sending}, nil }
		req.Body, _ = req.GetBody()
	}
	if r.onSend != nil {
		r.onSend()
	}
	sentAt := c.now()
	g := c.transports.acquire()
	defer c.transports.release(g)
	// Not http.Client: it follows redirects, and a redirect would take credentials to wherever it points.
	resp, err := g.transport.RoundTrip(req) //nolint:bodyclose // receive closes it
	if err != nil {
		err = got.mark(err)
		if !got.connection.Load() || r.body != nil && !sending.used() {
			err = &unsentError{err}
		}
		return nil, err
	}
	text, tooLong, err := receive(resp)
	if suspect(resp.StatusCode, text) {
		c.host.renewal.request()
	}
	switch {
	case err != nil:
		return nil, err
	case tooLong && resp.StatusCode < http.StatusMultipleChoices:
		return nil, errTooLong
	}
	return &answer{Response: resp, body: text, sentAt: sentAt}, nil
}

// progress is how far an attempt has got. net/http notes it in goroutines of its own.
type progress struct{ connection, failedHandshake, answer atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.connection.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.failedHandshake.Store(true)
			}
		},
		GotFirstResponseByte: func() { p.answer.Store(true) },
	}
}

// mark marks the error of an attempt that failed in its TLS handshake, or whose connection ended without an answer.
func (p *progress) mark(err error) error {
	switch {
	case !p.connection.Load() && p.failedHandshake.Load():
		return &handshakeError{err}
	case p.connection.Load() && !p.answer.Load() && isEnd(err):
		return &cutOffError{err}
	}
	return err
}

// unsentError marks a request of which Workfront has not got enough to act on it.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// permission is the permission to send a request. It is either used or withdrawn, whichever comes first.
type permission struct{ state atomic.Int32 }

const (
	permissionUsed      = 1
	permissionWithdrawn = 2
)

func (p *permission) use() bool      { return p.state.CompareAndSwap(0, permissionUsed) || p.used() }
func (p *permission) used() bool     { return p.state.Load() == permissionUsed }
func (p *permission) withdraw() bool { return p.state.CompareAndSwap(0, permissionWithdrawn) }

// permittedBody is a body that is sent only while that is permitted. Without it, the request is incomplete, and not acted on.
type permittedBody struct {
	strings.Reader
	sending *permission
}

func (b *permittedBody) Read(p []byte) (int, error) {
	if !b.sending.use() {
		return 0, context.Canceled
	}
	return b.Reader.Read(p)
}

func (b *permittedBody) Close() error { return nil }
