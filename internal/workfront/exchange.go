package workfront

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// exchangePath is where a JWT is exchanged for a session (Adobe, "Use the JWT flow in custom OAuth 2
// applications").
const exchangePath = "/integrations/oauth2/api/v1/jwt/exchange"

// ExchangeRequest is what an exchange needs. All of it but MaxRetries is secret or identifies the customer.
type ExchangeRequest struct {
	ClientID     string
	ClientSecret string
	Assertion    string // from Sign
	MaxRetries   int    // further attempts after a failure that cannot have started a session
}

// Session is what an exchange returns.
type Session struct {
	Token     string // the access token, which is a Workfront sessionID
	TokenType string // what Workfront calls it; "sessionID" as documented
	// SentAt is when the request was sent that started the session: its life counts from here at the earliest.
	SentAt time.Time
	// ExpiresIn is the lifetime of the session that Workfront stated, at most 32 days; 0 if it stated none.
	ExpiresIn time.Duration
	// Disbelieved: Workfront stated a lifetime of more than 32 days, which nobody can mean, in the wrong unit
	// perhaps. It counts as not stated.
	Disbelieved bool
}

// Exchange turns a signed assertion into a session. The deadline of ctx is the whole time that it may take,
// retries included. It returns a *RefusedError, an *UnavailableError, or the cancellation of ctx. None of them
// holds anything of the request. A refresh token in the answer is dropped.
func (c *Client) Exchange(ctx context.Context, r ExchangeRequest) (*Session, error) {
	form := url.Values{
		"client_id":     {r.ClientID},
		"client_secret": {r.ClientSecret},
		"jwt_token":     {r.Assertion},
	}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.BaseURL+exchangePath, strings.NewReader(form))
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	a, err := c.do(req, r.MaxRetries, retryIfNotStarted)
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	secrets := []string{r.Assertion, r.ClientSecret, url.QueryEscape(r.ClientSecret)}
	session, err := parseSession(a, secrets)
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	return session, nil
}
