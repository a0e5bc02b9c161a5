package workfront

import (
	"context"
	"errors"
	"net/http"
)

// sessionHeader carries a session. Adobe also allows a cookie or a query parameter, but a query ends up in logs.
const sessionHeader = "sessionID"

// ErrSessionGone says that Workfront does not know the session (any more).
var ErrSessionGone = errors.New("workfront does not know the session: it has expired, or was logged out")

// sessionCall is a call to a resource of the API with a session.
type sessionCall struct {
	token, resource string
	kind            kind
	maxRetries      int
}

// callWithSession makes a call by a route. Whether an answer of status 2xx is a success is left to the caller, which gets the
// answer and the refusal in it. Of every other answer, the error in the outcome says what it means: ErrSessionGone, a
// *RefusedError or an *UnavailableError; without an answer, it is that of do.
func (c *Client) callWithSession(ctx context.Context, via route, s sessionCall) (*answer, refusal, outcome) {
	path := "/attask/api/"
	if via.version != "" {
		path += via.version + "/"
	}
	req, err := http.NewRequestWithContext(ctx, via.method, c.endpoint.BaseURL+path+s.resource, nil)
	if err != nil {
		return nil, refusal{}, outcome{err: err}
	}
	req.Header.Set(sessionHeader, s.token)
	req.Header.Set("Accept", "application/json")
	// A cache that goes by the URL would answer for one session what was said of another one.
	req.Header.Set("Cache-Control", "no-cache, no-store")
	a, err := c.do(call{request: req, kind: s.kind, maxRetries: s.maxRetries, rule: retryIfTransient})
	if err != nil {
		return nil, refusal{}, outcome{err: err}
	}
	r := parseRefusal(a.body)
	o := outcome{status: a.StatusCode, own: a.isOwn()}
	switch {
	case a.isGone(r):
		o.err = ErrSessionGone
	case !o.is2xx():
		o.err = apiError(a, r, via.version)
	}
	return a, r, o
}

// isGone reports whether Workfront says of the session of a call that it does not know it (any more). It counts in Workfront's
// own words alone: the class or the message on any status, or, on 401, an error of the API's form. A 401 that is a page, is
// empty or has another form comes from something in between (gateways write code and message), and says nothing of the session.
func (a *answer) isGone(r refusal) bool {
	return r.gone || a.StatusCode == http.StatusUnauthorized && hasClass(parseObject(a.body))
}

// isOwn reports whether an answer is Workfront's own: an answer of its API, on a status that says that it was understood.
func (a *answer) isOwn() bool {
	switch a.StatusCode {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	if class := a.StatusCode / 100; class != 2 && class != 4 {
		return false
	}
	o := parseObject(a.body)
	return o.member("data") != nil || hasClass(o)
}

// hasClass reports whether o has an error of the form of Workfront's API: an object with a class.
func hasClass(o object) bool {
	class := o.object("error").member("class")
	return len(class) > 0 && class[0] == '"'
}
