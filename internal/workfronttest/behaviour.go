package workfronttest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// OmitExpiresIn as Behaviour.ExpiresIn leaves the member out of the answer.
const OmitExpiresIn = "omit"

// Behaviour is what Adobe's documentation leaves open, or what differs between installations. Flags gives each field a
// name and a help text, for command lines and for the administration API.
type Behaviour struct {
	// ExpiresIn, if set, is the raw JSON of expires_in in an exchange's answer, or OmitExpiresIn. nil means the
	// seconds that the session has left if nobody uses it. (oauth-app-code-token-flow shows 0 in a sample; the PKCE
	// page 3600.)
	ExpiresIn *string
	// RefreshToken puts a refresh_token into the answer. It is worth nothing here.
	RefreshToken bool
	// SameSession has exchanges for one user of one application give the same session while it lives.
	SameSession bool
	// CertificateDates refuses a JWT whose key was uploaded in a certificate that is not valid at the time.
	CertificateDates bool
	// ClockOffset is how far the server's clock is off, for JWTs and the Date header. The lifetime of sessions does not
	// change.
	ClockOffset time.Duration
	// LogoutAnswer, if set, is the body of the 200 that answers a logout of a living session, which then is not
	// carried out, such as {"data":{"success":false}}.
	LogoutAnswer string
	// ExchangeDelay is how long an exchange takes. The session is started when the request arrives.
	ExchangeDelay time.Duration
	// EchoRefusals puts what the client sent, secrets and all, into the text of a refusal. A client must not repeat it.
	EchoRefusals bool

	// MaxCalls is how many calls (exchanges, logouts and the rest of the API) the customer may have under way at a
	// time; one more is answered with a 429. 0 means no limit. A base URL is one customer's, so all calls count.
	MaxCalls int
	// RetryAfter is the Retry-After of that 429, in whole seconds. 0 leaves it out: none is documented.
	RetryAfter time.Duration
	// SessionIdle, if set, ends a session that no call has used for so long, besides Options.SessionTTL. An exchange
	// that gives it out again is no use of it.
	SessionIdle time.Duration
	// KnownAfter, if set, is how long after its start a session becomes known: until then, the API answers calls with it, its
	// logout included, as if it were dead. An exchange that returns it again changes nothing.
	KnownAfter time.Duration
	// LogoutMethods is how a session is logged out: LogoutBoth if empty.
	LogoutMethods LogoutMethods
	// LogoutRefusal is the status that answers a logout by the other method: 400, 404, 405 (if it is 0) or 410 with an
	// error of the API, or 200 with a page of HTML.
	LogoutRefusal int
	// RefusalForm is the form of an exchange's refusal: RefusalOAuthService if empty.
	RefusalForm RefusalForm
	// TellReasons has a refused exchange name invalid_client, invalid_grant or invalid_request.
	TellReasons bool
	// ErrorsAsHTML gives error bodies, which stay JSON, the content type text/html, as the OAuth service is known to.
	ErrorsAsHTML bool
	// ByteOrderMark puts U+FEFF in front of every JSON body.
	ByteOrderMark bool
	// RetiredVersions are API versions, such as v16.0, that are answered with a 410. A path without a version is served with
	// the newest that is not retired.
	RetiredVersions []string
	// SessionResource is what GET /attask/api/<version>/session answers: SessionPresent if empty.
	SessionResource SessionResource
	// DeadSession is how an answer tells that a session is dead: DeadByClass if empty.
	DeadSession DeadSession
	// DeadSessionStatus is the status of that answer: 401 if it is 0.
	DeadSessionStatus int
	// UnknownPathStatus is the status of the page that answers an unknown path: 404 (if it is 0), or 200, which then
	// answers unknown resources of the API, too.
	UnknownPathStatus int
}

// LogoutMethods are the HTTP methods that a logout takes. The documentation and Workfront's own client say GET,
// Adobe's OpenAPI document says POST.
type LogoutMethods string

// The methods that a logout can take.
const (
	LogoutBoth LogoutMethods = "both"
	LogoutGET  LogoutMethods = "GET"
	LogoutPOST LogoutMethods = "POST"
)

// SessionResource is what becomes of a GET of the session resource, which only Adobe's OpenAPI document knows.
type SessionResource string

// The answers of the session resource.
const (
	SessionPresent       SessionResource = "present"
	SessionAbsent        SessionResource = "absent"         // a 404 of the API
	SessionPage          SessionResource = "page"           // a 200 with a page of HTML
	SessionOtherUser     SessionResource = "other-user"     // names a user who does not exist
	SessionOtherCustomer SessionResource = "other-customer" // names a customer who does not exist
)

// DeadSession is what tells that a session is dead, whatever the status.
type DeadSession string

// The ways to tell that a session is dead.
const (
	DeadByClass   DeadSession = "class"   // com.attask.common.AuthenticationException, with a text of the stand-in's own
	DeadByMessage DeadSession = "message" // "You are not currently logged in.", without a class
	DeadByStatus  DeadSession = "status"  // neither, but a class of another name, so the status has to be 401
)

// customersLimit was documented until 2024-06: "each customer is limited to 10 concurrent API threads" (api-basics).
const customersLimit = 10

// DefaultBehaviour is what a Server starts with: the true expires_in, a refresh token, which a client must drop, and the
// limit of calls at a time that was documented.
func DefaultBehaviour() Behaviour {
	return Behaviour{
		RefreshToken: true, MaxCalls: customersLimit, RetiredVersions: []string{"v14.0", "v15.0", "v16.0"},
	}
}

var versionForm = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)

// Validate tells what makes no sense.
func (b Behaviour) Validate() error {
	statusIs := func(status int, allowed ...int) bool { return status == 0 || slices.Contains(allowed, status) }
	dead := b.DeadSessionStatus
	switch {
	case b.ExchangeDelay < 0 || b.SessionIdle < 0 || b.KnownAfter < 0 || b.RetryAfter < 0:
		return errors.New("exchange delay, session idle, known after and retry after cannot be negative")
	case b.RetryAfter%time.Second != 0:
		return fmt.Errorf("retry after %s has to be whole seconds", b.RetryAfter)
	case b.MaxCalls < 0:
		return fmt.Errorf("max calls %d cannot be negative", b.MaxCalls)
	case !slices.Contains(append(logoutMethods(), ""), b.LogoutMethods):
		return fmt.Errorf("unknown logout methods %q", b.LogoutMethods)
	case !statusIs(b.LogoutRefusal, logoutRefusals()...):
		return fmt.Errorf("logout refusal %d is none of %v", b.LogoutRefusal, logoutRefusals())
	case !slices.Contains(append(refusalForms(), ""), b.RefusalForm):
		return fmt.Errorf("unknown refusal form %q", b.RefusalForm)
	case !slices.Contains(append(sessionResources(), ""), b.SessionResource):
		return fmt.Errorf("unknown session resource %q", b.SessionResource)
	case !slices.Contains(append(deadSessions(), ""), b.DeadSession):
		return fmt.Errorf("unknown dead session %q", b.DeadSession)
	case dead != 0 && (dead < 200 || dead > 599):
		return fmt.Errorf("dead session status %d is not between 200 and 599", dead)
	case b.DeadSession == DeadByStatus && !statusIs(dead, 401):
		return fmt.Errorf("dead session %q needs the status 401, or nothing would tell", DeadByStatus)
	case !statusIs(b.UnknownPathStatus, 200, 404):
		return fmt.Errorf("unknown path status %d is neither 404 nor 200", b.UnknownPathStatus)
	}
	for _, version := range b.RetiredVersions {
		if !versionForm.MatchString(version) {
			return fmt.Errorf("retired version %q has not the form v16.0", version)
		}
	}
	return nil
}

// SetBehaviour replaces all of the server's behaviour; start from DefaultBehaviour. It panics on one that makes no
// sense.
func (s *Server) SetBehaviour(b Behaviour) {
	if err := b.Validate(); err != nil {
		panic("workfronttest: set behaviour: " + err.Error())
	}
	b.RetiredVersions = slices.Clone(b.RetiredVersions)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

func (s *Server) currentBehaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}
