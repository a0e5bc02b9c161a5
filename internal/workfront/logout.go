package workfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// sessionHeader carries a session. Adobe also allows a cookie or a query parameter, but a query ends up in logs.
const sessionHeader = "sessionID"

// ErrUnclearLogout says that Workfront answered a logout with success in the HTTP status but not in the body.
var ErrUnclearLogout = errors.New("workfront did not confirm the logout")

// LogoutRequest is what a logout needs.
type LogoutRequest struct {
	Token      string
	APIVersion string // Workfront's, such as v22.0
	MaxRetries int    // further attempts after a transient failure
}

// logoutMethod remembers by which method an endpoint logs out. Adobe's documentation and Workfront's own client
// say GET, Adobe's OpenAPI document declares POST only.
type logoutMethod struct{ post atomic.Bool }

// order returns both methods, the one to try first in front.
func (m *logoutMethod) order() [2]string {
	if m.post.Load() {
		return [2]string{http.MethodPost, http.MethodGet}
	}
	return [2]string{http.MethodGet, http.MethodPost}
}

// worked notes that a logout by method was confirmed.
func (m *logoutMethod) worked(method string) { m.post.Store(method == http.MethodPost) }

// Logout ends a session. The deadline of ctx is the whole time that it may take, retries and the wait for its turn
// included. It returns nil once Workfront has said that the session is logged out, or that it does not know it (any
// more). Otherwise the session may be alive, and the error is ErrUnclearLogout, a *RefusedError, an
// *UnavailableError, a *BusyError (its turn did not come) or the cancellation of ctx.
//
// It goes by GET, and by POST where GET is refused as a method or path or stays unclear; what worked is
// remembered.
func (c *Client) Logout(ctx context.Context, r LogoutRequest) error {
	var first error
	for _, method := range c.logoutMethod.order() {
		err := c.logoutBy(ctx, method, r)
		if err == nil {
			return nil
		}
		// If both methods fail, the first one's error is the telling one, unless the second one got further.
		if first == nil || !tryOtherMethod(err) {
			first = err
		}
		if !tryOtherMethod(err) {
			break
		}
	}
	return fmt.Errorf("log out: %w", first)
}

// logoutBy logs out by one method. What is unclear is asked once more: if the first try did log the session out,
// the second is told that it is gone.
func (c *Client) logoutBy(ctx context.Context, method string, r LogoutRequest) error {
	err := c.logout(ctx, method, r)
	if errors.Is(err, ErrUnclearLogout) {
		err = c.logout(ctx, method, r)
	}
	return err
}

// tryOtherMethod tells whether err is what a server says to a method or path that it does not know.
func tryOtherMethod(err error) bool {
	if errors.Is(err, ErrUnclearLogout) {
		return true
	}
	var refused *RefusedError
	var unavailable *UnavailableError
	status := 0
	switch {
	case errors.As(err, &refused):
		status = refused.Status
	case errors.As(err, &unavailable):
		status = unavailable.Status
	}
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return false
}

func (c *Client) logout(ctx context.Context, method string, request LogoutRequest) error {
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint.BaseURL+"/attask/api/"+request.APIVersion+"/logout", nil)
	if err != nil {
		return err
	}
	req.Header.Set(sessionHeader, request.Token)
	req.Header.Set("Accept", "application/json")
	a, err := c.do(call{request: req, kind: logouts, maxRetries: request.MaxRetries, rule: retryIfTransient})
	if err != nil {
		return err
	}
	r := parseRefusal(a.body, request.Token)
	switch {
	case a.gone(r):
		return nil
	case a.StatusCode < 200 || a.StatusCode > 299:
		return statusError(a, r, request.APIVersion)
	}
	// Workfront's own JavaScript client takes only this for done, and an error member for a failure.
	if r.stated || string(parseObject(a.body).object("data").member("success")) != "true" {
		return ErrUnclearLogout
	}
	c.logoutMethod.worked(method)
	return nil
}
