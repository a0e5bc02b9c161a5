package workfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// sessionHeader carries a session. Adobe also allows a cookie or a query parameter, but a query ends up in logs.
const sessionHeader = "sessionID"

// ErrUnclearLogout says that Workfront answered a logout with success in the HTTP status but not in the body.
var ErrUnclearLogout = errors.New("workfront did not confirm the logout")

// Logout ends the session. apiVersion is Workfront's API version, such as v22.0. The deadline of ctx is the
// whole time that it may take, retries included. It returns nil once Workfront has said that the session has
// ended, or that it does not know it (any more). Otherwise the session may be alive, and the error is
// ErrUnclearLogout, a *RefusedError, an *UnavailableError or the cancellation of ctx.
func (c *Client) Logout(ctx context.Context, token, apiVersion string, maxRetries int) error {
	err := c.logout(ctx, token, apiVersion, maxRetries)
	if errors.Is(err, ErrUnclearLogout) {
		// If the first try did end the session, the second is answered with 401.
		err = c.logout(ctx, token, apiVersion, maxRetries)
	}
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

func (c *Client) logout(ctx context.Context, token, apiVersion string, maxRetries int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint.BaseURL+"/attask/api/"+apiVersion+"/logout", nil)
	if err != nil {
		return err
	}
	req.Header.Set(sessionHeader, token)
	req.Header.Set("Accept", "application/json")
	a, err := c.do(req, maxRetries, retryIfTransient)
	if err != nil {
		return err
	}
	switch {
	case a.StatusCode == http.StatusUnauthorized:
		return nil // the session is gone already
	case a.StatusCode < 200 || a.StatusCode > 299:
		return statusError(a.Response, a.body, token)
	}
	// Workfront's own JavaScript client takes only this for done, and an error member for a failure.
	said, _ := members(a.body)
	data, _ := members(said["data"])
	if _, failed := errorMessage(a.body, token); failed || string(data["success"]) != "true" {
		return ErrUnclearLogout
	}
	return nil
}
