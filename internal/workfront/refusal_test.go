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
}

// A refusal must not quote what was sent, whatever the spelling: only words of the vocabulary are shown, so the list of
// spellings is there to try that, not to be complete.
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
				checkHoldsNone(t, got.Error(), form.secret)
			}
		}
	}
}

// What is shown is the same whatever was sent, so no one can ask for the secret by choosing what Workfront repeats.
func TestRefusalsDoNotDependOnTheSecret(t *testing.T) {
	t.Parallel()
	for _, form := range secretForms {
		texts := []string{
			form.secret, form.secret[:8], form.secret[:9], "the user " + form.secret[2:12] + " is not known",
			strings.ToUpper(form.secret), reverse(form.secret), "client " + form.secret[:5] + " refused",
		}
		for _, text := range texts {
			for _, frame := range []string{
				`{"message":%s}`, `{"error":%s}`, `{"error":true,"type":%s}`, `{"error":"invalid_grant","error_description":%s}`,
				`{"error":{"class":%s,"message":"refused"}}`,
			} {
				body := fmt.Sprintf(frame, strconv.QuoteToASCII(text))
				got := refusalFor(t, form.secret, http.StatusBadRequest, body).Error()
				if other := refusalFor(t, "9", http.StatusBadRequest, body).Error(); got != other {
					t.Errorf("%s: got %q with the secret that it quotes, %q with another one", form.name, got, other)
				}
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
	for _, ours := range []string{"workfront refused the request with HTTP status", "(not shown: ", "the client is unknown"} {
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

// Refusals as servers word them, and how they read.
func TestHowRefusalsRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, body, want string }{
		{
			"Workfront's API",
			`{"error":{"class":"com.attask.common.InvalidParameterException","message":"APIModel V22_0 does not ` +
				`support action logout (null)"}}`,
			"com.attask.common.InvalidParameterException: APIModel V22_0 does not support action logout (null)",
		},
		{
			"Workfront's OAuth service",
			`{"statusCode":401,"error":true,"type":"UnauthorizedError","message":"The client 0f8fad5bd9cb469f is ` +
				`unknown"}`,
			"UnauthorizedError: The client … is unknown",
		},
		{
			"RFC 6749",
			`{"error":"invalid_client","error_description":"Client authentication failed (e.g., unknown client, ` +
				`no client ` +
				`authentication included, or unsupported authentication method)"}`,
			"invalid_client: Client authentication failed (e.g., unknown client, no client authentication " +
				"included, or unsupported " +
				"authentication method)",
		},
		{
			"Keycloak",
			`{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}`,
			"unauthorized_client: Invalid client or Invalid client credentials",
		},
		{
			"Azure",
			`{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure ` +
				`the secret being sent ` +
				`in the request is the client secret value, not the client secret ID, for a secret added to app ` +
				`'4a1c9d52-7f0e-4a9b'. ` +
				`Trace ID: 8f2d1c00-19ab Correlation ID: 77aa01fe-20cd Timestamp: 2026-11-30 10:00:00Z"}`,
			"invalid_client: …: Invalid client secret provided. Ensure the secret being sent in the request is " +
				"the client secret value, not " +
				"the client secret ID, for a secret added to app …. Trace ID: … Correlation ID: … Timestamp: … 10:…",
		},
		{
			"Google",
			`{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 ` +
				`minutes) and in a ` +
				`reasonable timeframe. Check your iat and exp values in the JWT claim."}`,
			"invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable " +
				"timeframe. Check your iat and " +
				"exp values in the JWT claim.",
		},
		{
			"Salesforce",
			`{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}`,
			"invalid_grant: user hasn't approved this consumer",
		},
		{
			"Adobe IMS",
			`{"error":"invalid_token","error_description":"Could not match JWT signature to any of the bindings"}`,
			"invalid_token: Could not match JWT signature to any of the bindings",
		},
		{
			"jjwt, expired",
			`{"message":"JWT expired 5000 milliseconds ago at 2026-11-26T10:00:00.000Z. Current time: ` +
				`2026-11-26T10:00:05.000Z. ` +
				`Allowed clock skew: 0 milliseconds."}`,
			"JWT expired … milliseconds ago at …. Current time: …. Allowed clock skew: 0 milliseconds.",
		},
		{
			"jjwt, key too small",
			`{"message":"The signing key's size is 1024 bits which is not secure enough for the RS256 algorithm."}`,
			"The signing key's size is … bits which is not secure enough for the RS256 algorithm.",
		},
		{
			"java-jwt",
			`{"message":"The Token has expired on 2026-11-26T10:00:00Z."}`,
			"The Token has expired on ….",
		},
		{
			"Java",
			`{"message":"java.lang.IllegalArgumentException: Illegal base64 character 5f"}`,
			"java.lang.IllegalArgumentException: Illegal base64 character …",
		},
		{
			"Java, null",
			`{"message":"Exception in thread \"main\" java.lang.NullPointerException: Cannot invoke ` +
				`\"String.length()\" because ` +
				`\"<local4>\" is null"}`,
			`Exception in thread … java.lang.NullPointerException: Cannot invoke "String.length()" because … is null`,
		},
		{
			"Java, number",
			`{"message":"java.lang.NumberFormatException: For input string: \"5b1c0de0\""}`,
			`java.lang.NumberFormatException: For input string: …`,
		},
		{
			"Spring",
			`{"timestamp":"2026-11-30T10:00:00.000+00:00","status":401,"error":"Unauthorized","message":"Full ` +
				`authentication is required ` +
				`to access this resource","path":"/integrations/oauth2"}`,
			"Unauthorized: Full authentication is required to access this resource",
		},
		{
			"Envoy",
			`{"message":"upstream connect error or disconnect/reset before headers. reset reason: connection ` +
				`termination"}`,
			"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
		},
		{
			"Kong",
			`{"message":"no Route matched with those values","request_id":"8f2d1c0019ab"}`,
			"no Route matched with those values",
		},
		{"AWS API Gateway", `{"message":"Missing Authentication Token"}`, "Missing Authentication Token"},
		{
			"a firewall",
			`{"message":"The request was blocked by rule 942100 of the IP allow list (guid: 8f2d-1c00)."}`,
			"The request was blocked by rule … of the IP allow list (guid: ….",
		},
		{
			"RFC 9457",
			`{"type":"https://tools.ietf.org/html/rfc7231#section-6.5.1","title":"Bad Request","status":400}`,
			"(not shown: 1 word)",
		},
		{"nginx's JSON", `{"error":"Method Not Allowed","message":"405"}`, "Method Not Allowed: 405"},
		{
			"a debug mode",
			`{"message":"client_secret=hunter2, jwt_token=eyJhbGciOi is not known to the server"}`,
			"client_secret=…, jwt_token=… is not known to the server",
		},
		{"German", `{"message":"Der Client ist unbekannt oder das Geheimnis ist falsch."}`, "(not shown: 9 words)"},
		{
			"French",
			`{"error":"invalid_client","error_description":"Identifiants du client invalides"}`,
			"invalid_client: (not shown: 4 words)",
		},
		{"Japanese", `{"message":"クライアント認証に失敗しました"}`, "(not shown: 1 word)"},
		{
			"typographic",
			`{"message":"You don’t have permission to access “logout” on this server."}`,
			"You … have permission to access “logout” on this server.",
		},
		{"several in a row", `{"message":"no such user: x1, x2, x3. Refused"}`, "no such user: …. Refused"},
		{"a zero-width space", `{"message":"the cli\u200bent is unknown"}`, "the … is unknown"},
		{"another k", `{"message":"the to\u212aen is unknown"}`, "the … is unknown"},
		{"dashes alone", `{"message":"refused - expired"}`, "refused … expired"},
	} {
		refusal := refusalFor(t, "", http.StatusBadRequest, tt.body)
		got := strings.TrimPrefix(refusal.Error(), "workfront refused the request with HTTP status 400: ")
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.from, got, tt.want)
		}
	}
}

// What servers commonly say is shown whole.
func TestRefusalsAreShown(t *testing.T) {
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
		"JWT signature does not match locally computed signature. JWT validity cannot be asserted and " +
			"should not be trusted.",
		"The Token's Signature resulted invalid when verified using the Algorithm: SHA256withRSA",
		"The provided Algorithm doesn't match the one defined in the JWT's Header.",
		"Signed JWT rejected: Invalid signature",
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
