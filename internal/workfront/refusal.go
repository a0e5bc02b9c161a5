package workfront

import (
	"strings"
)

const (
	// maxMessage is how much of a refusal's words is passed on, in bytes: enough for a sentence, too little for a
	// page.
	maxMessage = 300
	// maxJudged is how much of a message is looked at, in bytes or escapes: more than is shown, so that what the
	// cut takes away still counts.
	maxJudged = 2 * maxMessage
	// maxCode is the longest code that is passed on, in bytes.
	maxCode = 64
)

// withheld stands for words that are not passed on.
const withheld = "message withheld: it may quote the request"

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
	message string // "" if nothing is said that could be told
}

// said tells whether the answer gives any reason at all.
func (r refusal) said() bool { return r.code != "" || r.message != "" }

// parseRefusal reads an error body. Three forms are known: that of Workfront's API ({"error": {"class",
// "message"}}), that of OAuth 2 ({"error": "…", "error_description": "…"}, RFC 6749 section 5.2) and that of
// Workfront's OAuth service ({"statusCode": 401, "error": true, "type": "…", "message": "…"}). Which one the
// exchange uses is not documented. Only known members are read, and whether their words are passed on is decided
// by their form: see sentence. The comparison with secrets, which are what was sent, is a second net.
func parseRefusal(body []byte, secrets ...string) refusal {
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
	w := words{secrets: secrets}
	w.add(inner, "class")
	w.add(inner, "message")
	w.addCode(o, "error")
	w.addCode(o, "type")
	w.add(o, "error_description")
	w.add(o, "message")
	r.gone = r.gone || w.gone
	if w.withheld {
		w.parts = append(w.parts, withheld)
	}
	r.code, r.message = w.code, shorten(strings.Join(w.parts, ": "))
	return r
}

// words collects what may be passed on.
type words struct {
	secrets  []string
	code     string
	parts    []string
	withheld bool
	gone     bool // deadSessionMessage is among the texts, passed on or not
}

// addCode takes a member that may be a code. The first one counts; another is told like a message.
func (w *words) addCode(o object, name string) {
	text, whole := o.text(name, maxCode)
	if w.code == "" && whole && isCode(text) && !quotes(text, w.secrets) {
		w.code = text
		return
	}
	w.add(o, name)
}

// add takes a member whose text is for people.
func (w *words) add(o object, name string) {
	text, whole := o.text(name, maxJudged)
	w.gone = w.gone || strings.Contains(text, deadSessionMessage)
	if !whole {
		// What the last word would go on with is not known, so it goes.
		text = text[:max(0, strings.LastIndexAny(text, " \t\r\n"))]
		if text == "" {
			w.withheld = true
			return
		}
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	line, ok := sentence(text)
	if !ok || quotes(text, w.secrets) {
		w.withheld = true
		return
	}
	line = shorten(line)
	if line == w.code {
		return
	}
	for _, part := range w.parts {
		if part == line {
			return
		}
	}
	w.parts = append(w.parts, line)
}

// shorten cuts a text behind a word, if it is longer than a message may be.
func shorten(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	text = text[:maxMessage]
	return text[:max(0, strings.LastIndexByte(text, ' '))] + "…"
}
