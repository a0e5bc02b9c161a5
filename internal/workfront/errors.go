package workfront

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// RefusedError says that Workfront understood a request and declined it: there is something for the one who
// asked, or for the operator, to correct. Trying again as it is would not help.
type RefusedError struct {
	Status  int    // the HTTP status of the answer
	Message string // what Workfront said, cut short and cleaned; "" if it said nothing that could be read
}

func (e *RefusedError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("workfront refused the request with HTTP status %d", e.Status)
	}
	return fmt.Sprintf("workfront refused the request with HTTP status %d: %s", e.Status, e.Message)
}

// UnavailableError says that Workfront could not be reached, is overloaded, or answered with something that is
// no answer.
type UnavailableError struct {
	Reason string // for the operator: what was seen
	// Transient: the same request may work later. It is true for connection failures, timeouts and the
	// statuses 429, 502, 503 and 504, and false where an operator has to act (a certificate, a wrong host).
	Transient bool
	Status    int   // the HTTP status of the answer; 0 if there was none
	Err       error // the cause, if there is one
}

func (e *UnavailableError) Error() string { return "workfront is not available: " + e.Reason }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// IsTransient tells whether err is a failure of Workfront that may pass by itself.
func IsTransient(err error) bool {
	var u *UnavailableError
	return errors.As(err, &u) && u.Transient
}

// maxMessage is how much of a message of Workfront's is passed on, in bytes: enough for a sentence, too little
// for a page.
const maxMessage = 300

// A JWT begins with the base64url of `{"`, in each of its first two parts.
var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)*`)

// members reads a JSON object as Workfront's own client, which is JavaScript, would: names are exact, and of two members with
// the same name the last counts. Decoded into a struct, a name in other letters would do, and could hide the right one.
func members(body []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	err := json.Unmarshal(body, &m)
	return m, err
}

// errorMessage returns the readable part of an error body, without any of secrets, and whether the body holds an error
// at all. Error bodies are known to look like Workfront's API ({"error": {"class", "message"}}) or OAuth 2
// ({"error": "…", "error_description": "…"}, RFC 6749 section 5.2). How the exchange words its own is not documented.
// Only known members of a JSON object are read: the rest could be anything.
func errorMessage(body []byte, secrets ...string) (message string, found bool) {
	said, err := members(body)
	if err != nil {
		return "", false
	}
	var parts []string
	// Some servers send an empty member with a success.
	found = !slices.Contains([]string{"", "null", `""`, "false"}, string(said["error"]))
	if found {
		object, _ := members(said["error"])
		parts = append(parts, stringOf(said["error"]), stringOf(object["class"]), stringOf(object["message"]))
	}
	parts = append(parts, stringOf(said["error_description"]), stringOf(said["message"]))
	var readable []string
	for _, p := range parts {
		if p = clean(p, secrets...); p != "" {
			readable = append(readable, p)
		}
	}
	return cut(strings.Join(readable, ": ")), found
}

// stringOf returns a JSON string, or "" for anything else.
func stringOf(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// clean makes text from outside fit for a log line or an error: secrets and anything like a JWT are taken out
// before it is cut, so that no part of one is left, and control characters (which forge log lines and move
// cursors) become spaces.
func clean(s string, secrets ...string) string {
	if s == "" {
		return ""
	}
	s = oneLine(jwtLike.ReplaceAllString(without(s, secrets), "[removed]"))
	// Other white space may have hidden a secret that holds a space.
	lines := make([]string, len(secrets))
	for i, secret := range secrets {
		lines[i] = oneLine(secret)
	}
	return cut(without(s, lines))
}

func without(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[removed]")
		}
	}
	return s
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

func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// statusError makes the error for an answer whose HTTP status is not 2xx.
func statusError(resp *http.Response, body []byte, secrets ...string) error {
	status := resp.StatusCode
	message, _ := errorMessage(body, secrets...)
	switch {
	case status >= 300 && status < 400:
		return &UnavailableError{Status: status, Reason: fmt.Sprintf("it answered with a redirect (HTTP status %d), which is never followed, "+
			"because credentials would go along; check base_url", status)}
	case status == http.StatusTooManyRequests:
		return &UnavailableError{Status: status, Reason: "it is overloaded or limits the number of calls (HTTP status 429)", Transient: true}
	case status == http.StatusNotFound && message == "":
		return &UnavailableError{Status: status, Reason: "the host has no such page (HTTP status 404); check that base_url is your Workfront domain"}
	case status >= 400 && status < 500:
		return &RefusedError{Status: status, Message: message}
	}
	reason := fmt.Sprintf("it answered with HTTP status %d", status)
	if message != "" {
		reason += ": " + message
	}
	return &UnavailableError{Status: status, Reason: reason, Transient: transientStatus(status)}
}

// notJSON makes the error for an answer of status 2xx whose body cannot be read as JSON.
func notJSON(resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !slices.Contains([]string{"application/json", "application/xml", "text/html", "text/plain", "text/xml"}, kind) {
		kind = "unknown" // it could be anything, even what was sent
	}
	return &UnavailableError{Status: resp.StatusCode, Reason: fmt.Sprintf("it answered with HTTP status %d, but not with readable JSON (content type %s); "+
		"check that base_url is your Workfront domain and no proxy or login page stands in between", resp.StatusCode, kind)}
}
