package workfront

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ErrSessionGone says that Workfront does not know the session (any more).
var ErrSessionGone = errors.New("the session has ended")

// Whoami reads the user of a session, as that user: a harmless call that shows whether the session lives. It returns
// ErrSessionGone if it does not, a *RefusedError, an *UnavailableError, or the cancellation of ctx, whose deadline is the
// whole time that it may take. It is not retried.
func (c *Client) Whoami(ctx context.Context, token, apiVersion, userID string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint.BaseURL+"/attask/api/"+apiVersion+"/user/"+url.PathEscape(userID), nil)
	if err != nil {
		return fmt.Errorf("call as user: %w", err)
	}
	req.Header.Set(sessionHeader, token)
	req.Header.Set("Accept", "application/json")
	a, err := c.do(req, 0, retryIfTransient)
	if err != nil {
		return fmt.Errorf("call as user: %w", err)
	}
	switch {
	case a.StatusCode == http.StatusUnauthorized:
		return ErrSessionGone
	case a.StatusCode < 200 || a.StatusCode > 299:
		return fmt.Errorf("call as user: %w", statusError(a.Response, a.body, token))
	}
	if message, failed := errorMessage(a.body, token); failed {
		return fmt.Errorf("call as user: %w", &RefusedError{Status: a.StatusCode, Message: message})
	}
	var said struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(a.body, &said) != nil || len(said.Data) == 0 {
		return fmt.Errorf("call as user: %w", notJSON(a.Response))
	}
	return nil
}
