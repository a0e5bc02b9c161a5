package workfront

import (
	"slices"
	"strings"
)

const (
	// maxMessage is how much of a refusal's words is shown, in bytes: enough for a sentence, too little for a page.
	maxMessage = 300
	// maxJudged is how much of a message is looked at, in bytes or escapes.
	maxJudged = 2 * maxMessage
	// maxCode is the longest code that is shown, in bytes.
	maxCode = 64
)

// What Workfront's API says of a session that it does not know (any more), on whatever HTTP status.
const (
	deadSessionClass   = "com.attask.common.AuthenticationException"
	deadSessionMessage = "You are not currently logged in"
)

// refusal is what an answer says of why a request failed.
type refusal struct {
	stated  bool   // the body has an error member
	gone    bool   // Workfront does not know the session
	code    string // such as invalid_client; "" if there is none
	message string // "" if nothing is said
}

// said tells whether the answer gives any reason at all.
func (r refusal) said() bool { return r.code != "" || r.message != "" }

// parseRefusal reads an error body. Three forms are known: that of Workfront's API ({"error": {"class",
// "message"}}), that of OAuth 2 ({"error": "…", "error_description": "…"}, RFC 6749 section 5.2) and that of
// Workfront's OAuth service ({"statusCode": 401, "error": true, "type": "…", "message": "…"}). Which one the
// exchange uses is not documented. Only known members are read, and what is shown of them is decided by wording.
func parseRefusal(body []byte) refusal {
	o := parseObject(body)
	raw := o.member("error")
	inner := o.object("error")
	var r refusal
	switch string(raw) {
	case "", "null", `""`, "false": // some servers send an empty member with a success
	default:
		r.stated = true
	}
	class, _ := inner.text("class", maxJudged)
	r.gone = class == deadSessionClass
	var w words
	w.add(inner, "class")
	w.add(inner, "message")
	w.addCode(o, "error")
	w.addCode(o, "type")
	w.add(o, "error_description")
	w.add(o, "message")
	r.gone = r.gone || w.gone
	r.code, r.message = w.code, shorten(strings.Join(w.parts, ": "))
	return r
}

// words collects what is shown of a refusal.
type words struct {
	code  string
	parts []string
	gone  bool // deadSessionMessage is among the texts, shown or not
}

// addCode takes a member that may be a code. The first one counts; another is shown like a message.
func (w *words) addCode(o object, name string) {
	text, whole := o.text(name, maxCode)
	if w.code == "" && whole && isCode(text) {
		w.code = text
		return
	}
	w.add(o, name)
}

// add takes a member whose text is for people.
func (w *words) add(o object, name string) {
	text, whole := o.text(name, maxJudged)
	w.gone = w.gone || strings.Contains(text, deadSessionMessage)
	line, n, ok := wording(text, !whole)
	switch {
	case n == 0:
		return
	case !ok:
		line = notShown(n)
	}
	line = shorten(line)
	if line == w.code || slices.Contains(w.parts, line) {
		return
	}
	w.parts = append(w.parts, line)
}

// shorten cuts a text behind a word, if it is longer than a message may be.
func shorten(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	text = text[:maxMessage]
	text = strings.TrimRight(text[:max(0, strings.LastIndexByte(text, ' '))], " "+omitted)
	return strings.TrimSpace(text + " " + omitted)
}
