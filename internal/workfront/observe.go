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
		if len(wait) <= maxRetryAfter && strings.Trim(wait, "0123456789") == "" {
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
	// maxRetryAfter is how many digits of a Retry-After are shown.
	maxRetryAfter = 5
)

// describe names the members of a JSON body with their types, and of strings the length and form, but tells no
// value: {statusCode: number, error: boolean, message: string(44, not shown)}. Of a body that is no JSON object, it
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

// memberNames are the names of members that are shown: those of Workfront's answers, and those that error bodies
// commonly have (RFC 6749, RFC 9457, Spring, gateways). An answer can use anything as a name, even an ID or a
// credential, so any other name is otherName. In addition, the versions of Workfront's API are shown, as in 22.0.
var memberNames = func() map[string]struct{} {
	names := strings.Fields(`
ID access_token accessToken apiVersions attributes authMode body cause causes class code count currentAPI customerID
data description detail details emailAddr error errorCode errorMessage error_code error_description error_uri errors
exception expires expires_at expires_in expiresAt expiresIn fields fault faultstring firstName guid id id_token
instance isAdmin items iss issues lastName locale localizedMessage message messages method msg msgKey name
objCode originalMessage path reason refresh_token refresh_token_expires_in refreshToken requestId request_id result rootCause scope session sessionID
session_state stack status statusCode statusText sub success tenantID timestamp timeZone title token token_type
tokenType trace traceId type user userID username versionInformation wid`)
	known := make(map[string]struct{}, len(names)+2*maxKnownVersion)
	for _, name := range names {
		known[name] = struct{}{}
	}
	for version := 1; version <= maxKnownVersion; version++ {
		known[fmt.Sprintf("%d.0", version)] = struct{}{}
		known[fmt.Sprintf("v%d.0", version)] = struct{}{}
	}
	return known
}()

// otherName stands for the name of a member that is not shown.
const otherName = "(other)"

// nameForm returns the name of a member if the plugin knows it.
func nameForm(raw []byte) string {
	if _, known := memberNames[string(raw)]; known {
		return string(raw)
	}
	return otherName
}

// stringForm returns the length of a string, in characters, and what it looks like.
func stringForm(raw []byte) string {
	text, whole := decodeString(raw[1:len(raw)-1], maxJudged)
	length := utf8.RuneCountInString(text)
	if !whole {
		return fmt.Sprintf("more than %d characters", length)
	}
	_, _, ok := wording(text, false)
	form := "not shown"
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
