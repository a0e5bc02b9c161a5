package workfront

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxExpiresIn is the longest lifetime of a session that is believed, so that no slip in a unit makes one that
// never expires.
const maxExpiresIn = 32 * 24 * time.Hour

// maxToken is the longest access token that is accepted, in bytes; it has to fit into a header for the logout.
const maxToken = 4 << 10

// Types of a token. Workfront calls its access tokens sessionID. Any other type counts as none: a text of the answer's
// choosing could be what was sent.
const (
	defaultTokenType = "sessionID"
	bearerTokenType  = "Bearer"
)

// parseSession reads the answer to an exchange. sent are the secrets that went along: an answer with one of them as its
// access_token is an echo, and none that starts a session.
func parseSession(a *answer, sent ...string) (*Session, error) {
	r := parseRefusal(a.body)
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return nil, statusError(a, r, "")
	}
	if r.stated {
		return nil, &RefusedError{Status: a.StatusCode, Code: r.code, Message: r.message}
	}
	// Adobe documents the answer for the sibling endpoint of the code flow. Members are read one by one,
	// because what they hold here is not documented: an odd one must not spoil the others.
	said := parseObject(a.body)
	if said == nil {
		return nil, notJSON(a.Response)
	}
	token, whole := said.text("access_token", maxToken)
	if token == "" || slices.Contains(sent, token) {
		return nil, &UnavailableError{Reason: "its answer holds no access_token"}
	}
	if !whole {
		reason := fmt.Sprintf("its answer holds an access_token of more than the %d bytes that a header carries", maxToken)
		return nil, &UnavailableError{Reason: reason}
	}
	if err := checkToken(token); err != nil {
		return nil, &UnavailableError{Reason: err.Error()}
	}
	s := &Session{Token: token, TokenType: defaultTokenType, SentAt: a.sentAt}
	if kind, whole := said.text("token_type", maxCode); whole && kind == bearerTokenType {
		s.TokenType = kind // informative only
	}
	s.ExpiresIn, s.Disbelieved = parseExpiresIn(said)
	if strings.ContainsAny(token, "\"'`\\") {
		return nil, &UnusableSessionError{Session: s, Err: &UnavailableError{
			Reason: "its answer holds an access_token with quotes or backslashes; the session is logged out",
		}}
	}
	return s, nil
}

// checkToken refuses what could not be sent back in a header to log the session out.
func checkToken(token string) error {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return errors.New("its answer holds an access_token with characters that no header carries")
		}
	}
	return nil
}

// parseExpiresIn returns the stated lifetime of a session, or 0 if none is stated that can be believed. Adobe's
// sample says 0, another page 3600; other servers send the number as a string.
func parseExpiresIn(said object) (lifetime time.Duration, disbelieved bool) {
	const longest = 400 // digits of a float
	text, whole := said.text("expires_in", longest)
	text = strings.TrimSpace(text)
	if text == "" {
		text = string(said.member("expires_in"))
	}
	// What is no decimal number ("Infinity", "0x10") is not a statement.
	if !whole || len(text) > longest || strings.Trim(text, "0123456789.eE+-") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), seconds <= 0:
		return 0, false
	case seconds > maxExpiresIn.Seconds():
		return 0, true
	}
	return time.Duration(seconds * float64(time.Second)), false
}
