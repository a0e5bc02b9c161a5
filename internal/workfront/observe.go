package workfront

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Observation is what may be told of one request and its answer: what an expert would ask for, and never a value.
// It is made to be published.
type Observation struct {
	Method string
	Path   string // {user_id} stands for the ID
	Status int    // the HTTP status; 0 if there was no answer
	// ContentType is the media type, if it is one that is expected; else "unknown", or "none".
	ContentType string
	// RetryAfter is the header of that name, if it is a number of seconds; "date" if it is one, "" if there is
	// none.
	RetryAfter string
	Duration   time.Duration
	Body       string // see describe
}

func (o Observation) String() string {
	if o.Status == 0 {
		return fmt.Sprintf("%s %s: no answer in %d ms", o.Method, o.Path, o.Duration.Milliseconds())
	}
	text := fmt.Sprintf("%s %s: %d %s in %d ms", o.Method, o.Path, o.Status, o.ContentType, o.Duration.Milliseconds())
	if o.RetryAfter != "" {
		text += ", Retry-After " + o.RetryAfter
	}
	return text + ": " + o.Body
}

// observation describes one attempt; a is nil if it brought no answer.
func observation(req *http.Request, a *answer, took time.Duration) Observation {
	o := Observation{Method: req.Method, Path: pathForm(req.URL.Path), Duration: took}
	if a == nil {
		return o
	}
	o.Status, o.ContentType, o.Body = a.StatusCode, mediaType(a.Header), describe(a.body)
	if wait := a.Header.Get("Retry-After"); wait != "" {
		o.RetryAfter = "unreadable"
		if len(wait) <= maxNumber && areDigits(wait) {
			o.RetryAfter = wait
		} else if _, err := http.ParseTime(wait); err == nil {
			o.RetryAfter = "date"
		}
	}
	return o
}

var userPath = regexp.MustCompile(`^(/attask/api/(?:v[^/]+/)?user/).*$`)

// pathForm leaves the ID out of the one path that holds one.
func pathForm(path string) string { return userPath.ReplaceAllString(path, "${1}{user_id}") }

const (
	// maxDescribed is how many members of an answer are named, and maxDepth how deep.
	maxDescribed, maxDepth = 40, 4
	// maxName is the longest name of a member that is told, in bytes.
	maxName = 32
)

// describe names the members of a JSON body with their types, and of strings the length and form, but tells no
// value: {statusCode: number, error: boolean, message: string(44, withheld)}. Of a body that is no JSON object, it
// tells what it looks like. The text is of bounded length.
func describe(body []byte) string {
	if o := parseObject(body); o != nil {
		d := description{left: maxDescribed}
		d.value(o, 0)
		return d.text.String()
	}
	text := bytes.TrimSpace(body)
	switch {
	case len(text) == 0:
		return "empty"
	case isPage(text):
		return fmt.Sprintf("a page of %d bytes", len(text))
	}
	return fmt.Sprintf("no JSON object, %d bytes", len(text))
}

// description is a text in the making.
type description struct {
	text strings.Builder
	left int // how many members may still be named
}

func (d *description) value(raw []byte, depth int) {
	switch raw[0] {
	case '{':
		d.object(raw, depth)
	case '[':
		n := 0
		var first []byte
		for element := range elements(raw) {
			if n++; n == 1 {
				first = element
			}
		}
		if first == nil || depth == maxDepth {
			fmt.Fprintf(&d.text, "array(%d)", n)
			return
		}
		fmt.Fprintf(&d.text, "array(%d) of ", n)
		d.value(first, depth+1)
	case '"':
		fmt.Fprintf(&d.text, "string(%s)", stringForm(raw))
	case 't', 'f':
		d.text.WriteString("boolean")
	case 'n':
		d.text.WriteString("null")
	default:
		d.text.WriteString("number")
	}
}

func (d *description) object(o object, depth int) {
	if depth == maxDepth {
		d.text.WriteString("object")
		return
	}
	d.text.WriteByte('{')
	separator := ""
	for name, value := range o.members() {
		d.text.WriteString(separator)
		if separator = ", "; d.left == 0 {
			d.text.WriteString("…")
			break
		}
		d.left--
		d.text.WriteString(nameForm(name))
		d.text.WriteString(": ")
		d.value(value, depth+1)
	}
	d.text.WriteByte('}')
}

// nameForm returns the name of a member if it looks like an identifier that somebody has chosen, and not like a
// key or an ID: an answer can use those as names, too.
func nameForm(raw []byte) string {
	name := string(raw)
	if versionForm.MatchString(name) {
		return name
	}
	if len(name) > maxName {
		return "(a long name)"
	}
	var w wording
	for _, r := range name {
		if !isLetter(r) && r != '_' {
			return "(a name)"
		}
	}
	if !w.add(name) {
		return "(a name)"
	}
	return name
}

// stringForm tells the length of a string, in characters, and what it looks like.
func stringForm(raw []byte) string {
	text, whole := decodeString(raw[1:len(raw)-1], maxJudged)
	length := utf8.RuneCountInString(text)
	if !whole {
		return fmt.Sprintf("more than %d characters", length)
	}
	_, ok := sentence(text)
	form := "withheld"
	switch {
	case text == "":
		return "empty"
	case strings.Trim(text, "0123456789") == "":
		form = "digits"
	case strings.Trim(text, "0123456789abcdefABCDEF-") == "":
		form = "hexadecimal"
	case isCode(text):
		form = "code"
	case ok:
		form = "words"
	case !strings.ContainsAny(text, " \t\r\n"):
		form = "no blanks"
	}
	return fmt.Sprintf("%d, %s", length, form)
}
