package workfront

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// exchangePath is where a JWT is exchanged for a session (Adobe, "Use the JWT flow in custom OAuth 2
// applications").
const exchangePath = "/integrations/oauth2/api/v1/jwt/exchange"

// ExchangeRequest is what an exchange needs. Much of it is secret or identifies the customer.
type ExchangeRequest struct {
	ClientID     string
	ClientSecret string
	// Assertion signs the JWT. It is called once, when the turn of the first attempt has come: what is never sent is never signed.
	Assertion  func() (string, error)
	MaxRetries int // further attempts after a failure that cannot have started a session
	// Timeout is how long an attempt that was sent is waited for, counted from its sending, whatever becomes of the context then. With
	// 0 it is the context alone that counts.
	Timeout time.Duration
	OnSend  func() // called before each attempt is sent, after its turn has come; may be nil
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

// Exchange turns a signed assertion into a session. ctx permits sending: when it ends, nothing further is sent, and
// its deadline is when the reader has waited long enough. An attempt for which less than a quarter of r.Timeout is
// left until then is not sent. What was sent is not cut off by ctx, because its session could not be known. It
// returns a *RefusedError, an *UnavailableError, a *BusyError, an *UnusableSessionError (the caller ends its
// session), an error of r.Assertion, or the cancellation of ctx. None of them holds anything of the request. A
// refresh token in the answer is dropped.
func (c *Client) Exchange(ctx context.Context, r ExchangeRequest) (*Session, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.BaseURL+exchangePath, nil)
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	var assertion string
	a, err := c.do(call{
		request: req, kind: exchanges, maxRetries: r.MaxRetries, rule: retryIfNotStarted, onSend: r.OnSend, timeout: r.Timeout,
		body: func() (_ string, err error) {
			if assertion, err = r.Assertion(); err != nil {
				return "", err
			}
			return url.Values{"client_id": {r.ClientID}, "client_secret": {r.ClientSecret}, "jwt_token": {assertion}}.Encode(), nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	session, err := parseSession(a, assertion, r.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("exchange jwt: %w", err)
	}
	return session, nil
}
