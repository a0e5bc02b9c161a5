package workfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ErrSessionGone says that Workfront does not know the session (any more).
var ErrSessionGone = errors.New("workfront does not know the session: it has expired, or was logged out")

// Whoami reads the user of a session, as that user: a harmless call that shows whether the session lives. It
// returns ErrSessionGone if it does not, a *RefusedError, an *UnavailableError, or the cancellation of ctx, whose
// deadline is the whole time that it may take. It is not retried.
func (c *Client) Whoami(ctx context.Context, token, apiVersion, userID string) error {
	if _, err := c.get(ctx, token, apiVersion, "user/"+url.PathEscape(userID)); err != nil {
		return fmt.Errorf("call as user: %w", err)
	}
	return nil
}

// get reads a resource of the API once, with a session, and returns what its answer holds.
func (c *Client) get(ctx context.Context, token, apiVersion, resource string) (object, error) {
	url := c.endpoint.BaseURL + "/attask/api/" + apiVersion + "/" + resource
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(sessionHeader, token)
	req.Header.Set("Accept", "application/json")
	a, err := c.do(call{request: req, rule: retryIfTransient})
	if err != nil {
		return nil, err
	}
	r := parseRefusal(a.body, token)
	switch {
	case a.gone(r):
		return nil, ErrSessionGone
	case a.StatusCode < 200 || a.StatusCode > 299:
		return nil, statusError(a, r, apiVersion)
	case r.stated:
		return nil, &RefusedError{Status: a.StatusCode, Code: r.code, Message: r.message, APIVersion: apiVersion}
	}
	said := parseObject(a.body)
	if said.member("data") == nil {
		return nil, notJSON(a.Response)
	}
	return said, nil
}

// gone tells whether Workfront does not know the session of a call to its API (any more): HTTP status 401 says so
// or, on whatever status, the class or the message of the error.
func (a *answer) gone(r refusal) bool { return r.gone || a.StatusCode == http.StatusUnauthorized }
