package workfront

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrUnclearLogout says that Workfront answered a logout with success in the HTTP status but not in the body.
var ErrUnclearLogout = errors.New("workfront did not confirm the logout")

// ErrGoneTooSoon says that Workfront does not know a session that is too young to have expired: it may not know it yet.
var ErrGoneTooSoon = errors.New("workfront does not know the session that it has only just returned")

// youngWait is how long a logout waits before it asks once more for a young session.
const youngWait = 2 * time.Second

// LogoutRequest is what a logout needs.
type LogoutRequest struct {
	Token string
	// APIVersions are Workfront's, such as v22.0, in the order in which they are tried. "" is the API without a version
	// in its path, which Workfront serves with its newest; it is also what is tried if there are none.
	APIVersions []string
	MaxRetries  int // further attempts after a transient failure
	// Young says that an exchange has only just returned the session. That Workfront does not know it is then not believed,
	// unless a logout was answered with a 2xx before: Workfront is asked once more after two seconds, and if it still does
	// not know the session, or ctx leaves no time to ask, Logout returns ErrGoneTooSoon.
	Young bool
	// On2xx, which may be nil, is called whenever Workfront answers with a 2xx, in the goroutine of Logout: the session may
	// be logged out from then on, even if the answer does not say so. (That the session is not known is no such answer.)
	On2xx func()
}

// Logout ends a session. The deadline of ctx is the whole time that it may take, retries and the wait for its turn included.
// It returns nil once Workfront has said that the session is logged out, or that it does not know it (any more). Otherwise
// the session may be alive, and the error is ErrUnclearLogout, ErrGoneTooSoon, a *RefusedError, an *UnavailableError, a
// *BusyError (its turn did not come) or the cancellation of ctx. See also AnsweredByWorkfront.
//
// What worked last on the host is tried first, then each version by GET and by POST. An answer that does not depend on them
// ends the attempt.
func (c *Client) Logout(ctx context.Context, r LogoutRequest) error {
	l := &logout{client: c, request: r, believed: !r.Young}
	order := routes(c.host.worked.logout.Load(), r.APIVersions, http.MethodGet, http.MethodPost)
	o := attempt(order, func(via route) outcome { return l.by(ctx, via) })
	if o.err == nil || errors.Is(o.err, ErrSessionGone) {
		return nil
	}
	return &logoutError{o.err, o.own || errors.Is(o.err, ErrGoneTooSoon)}
}

// logoutError is why a logout did not succeed.
type logoutError struct {
	err error
	own bool // Workfront itself answered last
}

func (e *logoutError) Error() string { return "log out: " + e.err.Error() }
func (e *logoutError) Unwrap() error { return e.err }

// AnsweredByWorkfront reports whether the outcome of Logout shows that Workfront itself answered last: the logout succeeded,
// the session is gone (also ErrGoneTooSoon), or the answer was one of Workfront's API that says that it was understood, on 2xx
// or 4xx. A page, an empty answer, other JSON, a 429, a 5xx or no answer does not show it.
func AnsweredByWorkfront(err error) bool {
	var e *logoutError
	return err == nil || errors.As(err, &e) && e.own
}

// logout is a logout that is under way.
type logout struct {
	client   *Client
	request  LogoutRequest
	believed bool // Workfront is believed that it does not know the session
	waited   bool
}

// by logs out by one route.
func (l *logout) by(ctx context.Context, via route) outcome {
	o := l.send(ctx, via)
	if !errors.Is(o.err, ErrSessionGone) || l.believed {
		return o
	}
	tooSoon := outcome{ErrGoneTooSoon, o.status, true}
	deadline, limited := ctx.Deadline()
	if l.waited || limited && !time.Now().Add(youngWait).Before(deadline) {
		return tooSoon
	}
	l.waited = true
	if err := sleep(ctx, youngWait); err != nil {
		return outcome{err: err}
	}
	o = l.send(ctx, via)
	var busy *BusyError
	if errors.Is(o.err, ErrSessionGone) || errors.As(o.err, &busy) { // it was not asked again
		return tooSoon
	}
	return o
}

// send sends one logout, and again where it may work then.
func (l *logout) send(ctx context.Context, via route) outcome {
	a, r, o := l.client.callWithSession(ctx, via, sessionCall{l.request.Token, "logout", logouts, l.request.MaxRetries})
	if o.err != nil {
		return o
	}
	l.believed = true
	if l.request.On2xx != nil {
		l.request.On2xx()
	}
	// Workfront's own JavaScript client takes only this for done, and an error member for a failure.
	if r.stated || string(parseObject(a.body).object("data").member("success")) != "true" {
		o.err = ErrUnclearLogout
		return o
	}
	l.client.host.worked.logout.Store(&via)
	return o
}
