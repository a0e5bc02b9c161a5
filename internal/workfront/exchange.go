package workfront

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exchangePath is where a JWT is exchanged for a session (Adobe, "Use the JWT flow in custom OAuth 2
// applications").
const exchangePath = "/integrations/oauth2/api/v1/jwt/exchange"

// maxExpiresIn is the longest life of a session that is believed, so that no slip in a unit makes one that
// never ends.
const maxExpiresIn = 32 * 24 * time.Hour

// maxToken is the longest access token that is accepted, in bytes; it has to fit into a header for the logout.
const maxToken = 4 << 10

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
	// ExpiresIn is the life of the session that Workfront stated, at most 32 days; 0 if it stated none.
	ExpiresIn time.Duration
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

func parseSession(a *answer, secrets []string) (*Session, error) {
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return nil, statusError(a.Response, a.body, secrets...)
	}
	if message, found := errorMessage(a.body, secrets...); found {
		return nil, &RefusedError{Status: a.StatusCode, Message: message}
	}
	// Adobe documents the answer for the sibling endpoint of the code flow. Members are read one by one,
	// because what they hold here is not documented: an odd one must not spoil the others.
	said, err := members(a.body)
	if err != nil {
		return nil, notJSON(a.Response)
	}
	token := stringOf(said["access_token"])
	if token == "" {
		return nil, &UnavailableError{Reason: "its answer holds no access_token"}
	}
	if err := checkToken(token); err != nil {
		return nil, &UnavailableError{Reason: err.Error()}
	}
	tokenType := clean(stringOf(said["token_type"]), append(secrets, token)...) // informative only
	if tokenType == "" {
		tokenType = "sessionID"
	}
	return &Session{
		Token:     token,
		TokenType: tokenType,
		SentAt:    a.sentAt,
		ExpiresIn: parseExpiresIn(said["expires_in"]),
	}, nil
}

// checkToken refuses what could not be sent back in a header to log the session out.
func checkToken(token string) error {
	if len(token) > maxToken {
		return fmt.Errorf("its answer holds an access_token of %d bytes, which is more than the %d that a header carries", len(token), maxToken)
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return errors.New("its answer holds an access_token with characters that no header carries")
		}
	}
	return nil
}

// parseExpiresIn returns the stated life of a session, or 0 if none is stated. Adobe's sample says 0, another
// page 3600; other servers send the number as a string.
func parseExpiresIn(raw json.RawMessage) time.Duration {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = strings.TrimSpace(quoted)
	}
	// What is no decimal number ("Infinity", "0x10") is not a statement.
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return 0
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || seconds <= 0 {
		return 0
	}
	return time.Duration(math.Min(seconds, maxExpiresIn.Seconds()) * float64(time.Second))
}
