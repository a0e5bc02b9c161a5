package workfront_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// refusalFor returns what the client makes of a refusal of an exchange with secret.
func refusalFor(t *testing.T, secret string, status int, body string) *workfront.RefusedError {
	t.Helper()
	c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
	c.Over(script(func(*http.Request) *http.Response { return scripted(status, "application/json", body) }))
	r := fuzzedRequest
	r.ClientSecret = secret
	_, err := c.Exchange(t.Context(), r)
	var refusal *workfront.RefusedError
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return refusal
}

// everyRune spells each rune by itself.
func everyRune(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, format, r)
		}
		return b.String()
	}
}

// between puts something between the runes.
func between(separator string) func(string) string {
	return func(s string) string { return strings.Join(strings.Split(s, ""), separator) }
}

func jsonText(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}

func reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

func half(s string) int { return len(s) / 2 }

// spellings are the ways in which what was sent may come back. They all have to be held back.
var spellings = []struct {
	name  string
	spell func(secret string) string
}{
	{"as it is", func(s string) string { return s }},
	{"URL escapes", url.QueryEscape},
	{"URL escapes of a path", url.PathEscape},
	{"lower-case URL escapes", func(s string) string { return strings.ToLower(url.QueryEscape(s)) }},
	{"everything in URL escapes", everyRune("%%%02X")},
	{"everything in lower-case URL escapes", everyRune("%%%02x")},
	{"escaped twice", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
	{"everything escaped twice", func(s string) string { return url.QueryEscape(everyRune("%%%02x")(s)) }},
	{"HTML", html.EscapeString},
	{"everything in HTML", everyRune("&#%d;")},
	{"everything in hexadecimal HTML", everyRune("&#x%x;")},
	{"HTML in HTML", func(s string) string { return html.EscapeString(everyRune("&#%d;")(s)) }},
	{"JSON in JSON", func(s string) string { return `{"client_secret":"` + jsonText(s) + `"}` }},
	{"JSON in JSON in JSON", func(s string) string { return jsonText(`{"client_secret":"` + jsonText(s) + `"}`) }},
	{"everything in JSON escapes", everyRune(`\u%04x`)},
	{"as a form", func(s string) string { return url.Values{"client_secret": {s}}.Encode() }},
	{"Basic", func(s string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+s))
	}},
	{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"base64 for URLs", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
	{"base64 in lines", func(s string) string {
		encoded := base64.StdEncoding.EncodeToString([]byte(s))
		return encoded[:half(encoded)] + "\r\n" + encoded[half(encoded):]
	}},
	{"hexadecimal", func(s string) string { return hex.EncodeToString([]byte(s)) }},
	{"hexadecimal with colons", func(s string) string { return strings.TrimSuffix(everyRune("%02x:")(s), ":") }},
	{"decimal", everyRune("%d ")},
	{"octal", everyRune(`\%o`)},
	{"quoted-printable", everyRune("=%02X")},
	{"in capitals", strings.ToUpper},
	{"in small letters", strings.ToLower},
	{"first half", func(s string) string { return s[:half(s)] }},
	{"second half", func(s string) string { return s[half(s):] }},
	{"all but the first two", func(s string) string { return s[2:] }},
	{"twelve of the middle", func(s string) string { return s[4:16] }},
	{"with an ellipsis", func(s string) string { return s[:10] + "..." }},
	{"halves in the other order", func(s string) string { return s[half(s):] + s[:half(s)] }},
	{"halves in the other order, apart", func(s string) string { return s[half(s):] + " " + s[:half(s)] }},
	{"reversed", reverse},
	{"reversed halves", func(s string) string { return reverse(s[:half(s)]) + reverse(s[half(s):]) }},
	{"a blank inside", func(s string) string { return s[:half(s)] + " " + s[half(s):] }},
	{"a line break inside", func(s string) string { return s[:half(s)] + "\n" + s[half(s):] }},
	{"a tabulator inside", func(s string) string { return s[:half(s)] + "\t" + s[half(s):] }},
	{"a no-break space inside", func(s string) string { return s[:half(s)] + "\u00a0" + s[half(s):] }},
	{"a zero-width space inside", func(s string) string { return s[:half(s)] + "\u200b" + s[half(s):] }},
	{"a zero-width joiner inside", func(s string) string { return s[:half(s)] + "\u200d" + s[half(s):] }},
	{"a soft hyphen inside", func(s string) string { return s[:half(s)] + "\u00ad" + s[half(s):] }},
	{"a word joiner inside", func(s string) string { return s[:half(s)] + "\u2060" + s[half(s):] }},
	{"a NUL inside", func(s string) string { return s[:half(s)] + "\x00" + s[half(s):] }},
	{"a combining accent inside", func(s string) string { return s[:half(s)] + "\u0301" + s[half(s):] }},
	{"blanks between", between(" ")},
	{"zero-width spaces between", between("\u200b")},
	{"hyphens between", between("-")},
	{"dots between", between(".")},
	{"underscores between", between("_")},
	{"slashes between", between("/")},
	{"commas between", between(", ")},
	{"in groups of four", func(s string) string {
		var groups []string
		for ; len(s) > 4; s = s[4:] {
			groups = append(groups, s[:4])
		}
		return strings.Join(append(groups, s), " ")
	}},
	{"in camel case", func(s string) string {
		var b strings.Builder
		for i, r := range s {
			if i%4 == 0 {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
		}
		return b.String()
	}},
	{"in full-width letters", func(s string) string {
		return strings.Map(func(r rune) rune {
			if '!' <= r && r <= '~' {
				return r - '!' + '！'
			}
			return r
		}, s)
	}},
	{"twice", func(s string) string { return s + s }},
}

// secretForms are secrets of the kinds that there are. Workfront's own is letters and digits.
var secretForms = []struct{ name, secret string }{
	{"letters and digits", "4vnq8x0zk3jw5rty7mbc1d6hgp2fsaeu"},
	{"letters of both cases and digits", "GOoSEv4Zt7LiCqXw0NbRy1MkUe"},
	{"hexadecimal", "0f8fad5bd9cb469fa16570867728950e"},
	{"UUID", "0f8fad5b-d9cb-469f-a165-70867728950e"},
	{"base64", "Zm9vYmFyL2Jhei+xyzzyAQIDBAU="},
	{"small letters", "qwlzkxvbnmtrpsdfghjcqwrtzplk"},
	{"small letters that could be words", "hunoterolivapemaritoluneso"},
	{"capitals", "KJWQZXVBNMTRPSDFGHJLKQWRTZ"},
	{"punctuation", `p!x4&w"r<t>9%z+/=é#k$q@8~`},
	{"words", "correct horse battery staple"},
	{"words of the vocabulary", "client authentication failed"},
}

// A refusal must not quote what was sent, whatever the spelling: this is decided by form, so the list of spellings is
// there to try that, not to be complete.
func TestRefusalsQuoteNoSecret(t *testing.T) {
	t.Parallel()
	frames := []struct{ name, body string }{
		{"alone", `{"message":%s}`},
		{"in a sentence", `{"message":%s}`},
		{"as a description", `{"error":"invalid_client","error_description":%s}`},
		{"as a code", `{"error":%s}`},
		{"as a type", `{"statusCode":401,"error":true,"type":%s,"message":"the client is unknown"}`},
		{"as a class", `{"error":{"class":%s,"message":"the client is unknown"}}`},
		{"as a message of the API", `{"error":{"class":"com.attask.common.APIException","message":%s}}`},
		{"where it is cut", `{"message":%s}`},
		{"behind the cut", `{"message":%s}`},
	}
	for _, form := range secretForms {
		for _, spelling := range spellings {
			for _, frame := range frames {
				text := spelling.spell(form.secret)
				switch frame.name {
				case "in a sentence":
					text = "the client secret " + text + " is not known to the server"
				case "where it is cut":
					text = strings.Repeat("the client is unknown ", 14)[:290] + " " + text
				case "behind the cut":
					text = strings.Repeat("the client is unknown ", 14) + text
				}
				body := fmt.Sprintf(frame.body, strconv.QuoteToASCII(text))
				if strings.ContainsAny(text, "\x00\x07\x1b") {
					body = strings.ReplaceAll(body, `\x00`, `\u0000`)
				}
				got := refusalFor(t, form.secret, http.StatusUnauthorized, body)
				// A word that the cut goes through is not shown, so it need not be judged.
				cut := strings.HasSuffix(got.Message, "…") || strings.HasPrefix(frame.name, "where it is cut")
				if !strings.Contains(got.Message, withheld) && !cut {
					t.Errorf("%s, %s, %s: got %q, want the message withheld", form.name, spelling.name, frame.name, got)
				}
				checkHoldsNone(t, got.Error(), form.secret)
			}
		}
	}
}

// checkHoldsNone looks for eight letters and digits in a row of a secret, forwards and backwards.
func checkHoldsNone(t *testing.T, text, secret string) {
	t.Helper()
	strip := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	// The texts around the words of a refusal are ours.
	for _, ours := range []string{"workfront refused the request with HTTP status", withheld, "the client is unknown"} {
		text = strings.ReplaceAll(text, ours, "|")
	}
	text, known := strip(text), strip(secret)
	for _, s := range []string{known, reverse(known)} {
		for i := 0; i+8 <= len(s); i++ {
			if strings.Contains(text, s[i:i+8]) {
				t.Errorf("got %q, want nothing of %q in it", text, secret)
				return
			}
		}
	}
}

// What servers really say has to get through.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	messages := []string{
		// Workfront's API.
		"You are not currently logged in.",
		"You are not currently logged in",
		"Invalid API Key",
		"Your session has expired.",
		"Too many concurrent API requests for the given customer.",
		"APIModel V22_0 does not support action logout (null)",
		"APIModel V15_0 does not support field status (Project)",
		"Unsupported API version",
		"unsupported API version: v16.0",
		"You do not have sufficient access to do that.",
		"com.attask.common.AuthenticationException",
		"Exception in com.attask.common.InvalidParameterException",
		"Username or password is invalid.",
		"The user has been deactivated",
		"User license does not allow API access",
		"OAuth2 application is not active",
		"The public key was not found for this user",
		"No public key is registered for the user in sub",
		"Customer ID in iss does not match the application",
		// OAuth 2: RFC 6749, section 5.2, and what servers make of it.
		"Client authentication failed (e.g., unknown client, no client authentication included, or " +
			"unsupported authentication method)",
		"The provided authorization grant is invalid, expired, revoked, does not match the redirection " +
			"URI used in the authorization request",
		"The request is missing a required parameter, includes an unsupported parameter value, repeats " +
			"a parameter, or is otherwise malformed.",
		"The authenticated client is not authorized to use this authorization grant type.",
		"The authorization grant type is not supported by the authorization server.",
		"The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner.",
		"Invalid client credentials",
		"Bad client credentials",
		"Client not found",
		"invalid client_secret parameter",
		"client_id parameter is missing",
		"Missing required parameter: jwt_token",
		"Unknown client or client not enabled",
		// Adobe IMS.
		"Could not match JWT signature to any of the bindings.",
		"JWT token is incorrect.",
		"The JWT token has expired",
		"Invalid JWT token audience",
		// Libraries that check JWTs.
		"JWT expired at 2026-11-26T10:00:00Z. Current time: 2026-11-26T10:00:05Z, a difference of 5000 milliseconds. " +
			"Allowed clock skew: 0 milliseconds.",
		"JWT signature does not match locally computed signature. JWT validity cannot be asserted and " +
			"should not be trusted.",
		"The Token has expired on 2026-11-26T10:00:00Z.",
		"The Token's Signature resulted invalid when verified using the Algorithm: SHA256withRSA",
		"The provided Algorithm doesn't match the one defined in the JWT's Header.",
		"Signed JWT rejected: Invalid signature",
		"Signed JWT rejected: Another algorithm expected, or no matching key(s) found",
		"Expired JWT",
		"jwt expired",
		"jwt malformed",
		"jwt must be provided",
		"invalid signature",
		"invalid algorithm",
		"JWT verification failed",
		"Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat " +
			"and exp values in the JWT claim.",
		"Token used before issued",
		"The 'exp' claim is too far in the future",
		"Token is not valid yet",
		"RS256 signature verification failed",
		// Frameworks and gateways.
		"Bad credentials",
		"Full authentication is required to access this resource",
		"Unauthorized",
		"Forbidden",
		"Access Denied",
		"Bad Request",
		"Not Found",
		"Method Not Allowed",
		"Request method 'GET' is not supported",
		"Content type 'application/json' not supported",
		"Rate limit exceeded. Try again in 60 seconds.",
		"Internal Server Error",
		"The service is temporarily unavailable, please try again later.",
		"refused",
		"You don’t have permission to access “logout” on this server.",
	}
	for _, message := range messages {
		got := refusalFor(t, secretForms[0].secret, http.StatusBadRequest, `{"message":`+strconv.Quote(message)+`}`)
		if got.Message != message && got.Code != message {
			t.Errorf("got %q, want %q", got.Message, message)
		}
	}
	codes := []string{
		"invalid_client", "invalid_grant", "invalid_request", "unauthorized_client", "unsupported_grant_type",
		"invalid_scope", "access_denied", "server_error", "temporarily_unavailable", "invalid_token", "expired_token",
		"invalid_key", "Unauthorized", "UnauthorizedError", "UnauthorizedException", "InvalidClientError",
		"INVALID_CLIENT", "BadRequest",
	}
	for _, code := range codes {
		for _, form := range []string{`{"error":%q}`, `{"statusCode":401,"error":true,"type":%q,"message":"refused"}`} {
			body := fmt.Sprintf(form, code)
			if got := refusalFor(t, secretForms[0].secret, http.StatusBadRequest, body); got.Code != code {
				t.Errorf("code: got %q, want %q", got.Code, code)
			}
		}
	}
}
