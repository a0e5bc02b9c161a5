package workfront

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// RefusedError says that Workfront understood a request and declined it: there is something for the client, or for
// the operator, to correct. Trying again as it is would not help.
type RefusedError struct {
	Status int // the HTTP status of the answer
	// Code is the reason as a code of letters and underscores, such as invalid_client: the error member of OAuth
	// 2, or the type member of Workfront's OAuth service. It is "" if there is none.
	Code string
	// Message is what else Workfront said, cut short and on one line, with … for words that are not shown (see
	// wording); "" if it said nothing that could be read.
	Message string
	// APIVersion is the version of the API that was called; "" for an exchange, which has none.
	APIVersion string
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("workfront refused the request with HTTP status %d", e.Status)
	if e.Status == http.StatusGone && e.APIVersion != "" {
		return fmt.Sprintf("%s: api_version %s is no longer available in this Workfront; set a newer one in config",
			text, e.APIVersion)
	}
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

// UnavailableError says that Workfront could not be reached, is overloaded, or answered with something that is
// no answer.
type UnavailableError struct {
	Reason string // for the operator: what was seen
	// Transient: the same request may work later. It is true for connection failures, timeouts and the
	// statuses 429, 502, 503 and 504, and false where an operator has to act (a certificate, a wrong host).
	Transient bool
	Status    int // the HTTP status of the answer; 0 if there was none
	// Handshake: the TLS handshake failed. CutOff: the connection ended before the first byte of an answer. Something
	// in between may have done that.
	Handshake, CutOff bool
	// Redirect is where the answer redirects to, if it does: a host of the same customer's, or "(another host)".
	Redirect string
	Proxy    string // the proxy in between, without its password, and the variable that names it; "" if there is none
	Err      error  // the cause, if there is one
}

func (e *UnavailableError) Error() string { return "workfront is not available: " + e.Reason }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// UnusableSessionError says that an exchange started a session whose token must not reach a reader: it holds quotes or
// backslashes, which forge what is written around it. It can be sent in a header, so the caller has to end the session.
type UnusableSessionError struct {
	Session *Session
	Err     *UnavailableError
}

func (e *UnusableSessionError) Error() string { return e.Err.Error() }

// Unwrap returns what the reader is told.
func (e *UnusableSessionError) Unwrap() error { return e.Err }

// IsTransient tells whether err is a failure of Workfront that may pass by itself.
func IsTransient(err error) bool {
	var u *UnavailableError
	return errors.As(err, &u) && u.Transient
}

// clean makes the text of an error from below HTTP fit for a log line: control characters (which forge log lines
// and move cursors) become spaces. It is cut before it is cleaned: a certificate can hold thousands of names.
func clean(s string) string {
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return oneLine(s)
}

// oneLine leaves single spaces of all that is not printable.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// apiError makes the error for an answer to a call with a session whose HTTP status is not 2xx, and which says r, but not that
// the session is gone: any other 401 comes from something in between.
func apiError(a *answer, r refusal, apiVersion string) error {
	if a.StatusCode == http.StatusUnauthorized {
		return answeredInBetween(a)
	}
	return statusError(a, r, apiVersion)
}

// answeredInBetween makes the error for an answer that is not Workfront's.
func answeredInBetween(a *answer) error {
	return &UnavailableError{Status: a.StatusCode, Proxy: a.proxy, Reason: fmt.Sprintf("a proxy or firewall answered in "+
		"its place (HTTP status %d); have it let Vault through to base_url", a.StatusCode)}
}

// statusError makes the error for an answer whose HTTP status is not 2xx, and which says r. apiVersion is the
// version of the API that was called; "" for an exchange.
func statusError(a *answer, r refusal, apiVersion string) error {
	status := a.StatusCode
	inBetween := status == http.StatusProxyAuthRequired ||
		isPage(a.body) && (status == http.StatusForbidden || status == http.StatusUnavailableForLegalReasons)
	noSuchPage := !r.said() && (status == http.StatusNotFound || status == http.StatusGone && apiVersion == "")
	unavailable := func(reason string) error {
		return &UnavailableError{
			Status: status, Reason: fmt.Sprintf(reason, status), Transient: transientStatus(status), Proxy: a.proxy,
		}
	}
	switch {
	case status >= 300 && status < 400:
		reason := fmt.Sprintf("it answered with a redirect (HTTP status %d), which is never followed, because credentials "+
			"would go along; check base_url", status)
		return &UnavailableError{Status: status, Reason: reason, Redirect: redirectHost(a), Proxy: a.proxy}
	case status == http.StatusTooManyRequests:
		return unavailable("it is overloaded or limits the number of calls (HTTP status %d)")
	case inBetween:
		return answeredInBetween(a)
	case noSuchPage:
		return unavailable("the host has no such page (HTTP status %d); check that base_url is your Workfront domain")
	case !r.said() && encoding(a.Header) != "":
		r.message = "its answer is encoded as " + encoding(a.Header) + ", which was not asked for"
	}
	if status >= 400 && status < 500 {
		return &RefusedError{Status: status, Code: r.code, Message: r.message, APIVersion: apiVersion}
	}
	reason := fmt.Sprintf("it answered with HTTP status %d", status)
	for _, part := range []string{r.code, r.message} {
		if part != "" {
			reason += ": " + part
		}
	}
	return &UnavailableError{Status: status, Reason: reason, Transient: transientStatus(status)}
}

// isPage tells whether body is a page for a browser rather than an answer of an API, whatever its content type
// says.
func isPage(body []byte) bool {
	return bytes.HasPrefix(bytes.Trim(bytes.TrimPrefix(body, []byte(byteOrderMark)), jsonSpace), []byte("<"))
}

// notJSON makes the error for an answer of status 2xx whose body cannot be read as JSON.
func notJSON(resp *http.Response) error {
	form := "content type " + mediaType(resp.Header)
	if name := encoding(resp.Header); name != "" {
		form += ", encoded as " + name
	}
	reason := fmt.Sprintf("it answered with HTTP status %d, but not with readable JSON (%s); check that base_url is your "+
		"Workfront domain and no proxy or login page is in between", resp.StatusCode, form)
	return &UnavailableError{Status: resp.StatusCode, Reason: reason}
}

// mediaTypes are those that are expected. Another one could be anything, even what was sent.
var mediaTypes = []string{
	"application/json", "application/problem+json", "application/xml", "text/html", "text/plain", "text/xml",
}

// mediaType returns the content type if it is expected; else "unknown", or "none" if there is none.
func mediaType(h http.Header) string {
	if h.Get("Content-Type") == "" {
		return "none"
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if !slices.Contains(mediaTypes, kind) {
		return "unknown"
	}
	return kind
}
