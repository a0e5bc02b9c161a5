package workfront

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Whoami reads the user of a session, as that user: a harmless call that shows whether the session lives. The versions of the
// API are tried as by Logout. It returns ErrSessionGone if Workfront does not know the session, a *RefusedError, an
// *UnavailableError, a *BusyError, or the cancellation of ctx, whose deadline is the whole time that it may take. It is not
// retried.
func (c *Client) Whoami(ctx context.Context, token string, apiVersions []string, userID string) error {
	worked := &c.host.worked.whoami
	o := attempt(routes(worked.Load(), apiVersions, http.MethodGet), func(via route) outcome {
		_, o := c.get(ctx, via, token, "user/"+url.PathEscape(userID))
		if o.err == nil {
			worked.Store(&via)
		}
		return o
	})
	if o.err != nil {
		return fmt.Errorf("call as user: %w", o.err)
	}
	return nil
}

// get reads a resource of the API once, with a session, and returns what its answer holds.
func (c *Client) get(ctx context.Context, via route, token, resource string) (object, outcome) {
	a, r, o := c.callWithSession(ctx, via, sessionCall{token: token, resource: resource})
	if o.err != nil {
		return nil, o
	}
	if r.stated {
		o.err = &RefusedError{Status: a.StatusCode, Code: r.code, Message: r.message, APIVersion: via.version}
		return nil, o
	}
	said := parseObject(a.body)
	if said.member("data") == nil {
		o.err = notJSON(a.Response)
		return nil, o
	}
	return said, o
}
