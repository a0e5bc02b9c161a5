package workfronttest

import "time"

// OmitExpiresIn as Behaviour.ExpiresIn leaves the member out of the answer.
const OmitExpiresIn = "omit"

// Behaviour is what Adobe's documentation leaves open, or what differs between installations.
type Behaviour struct {
	// ExpiresIn, if set, is the raw JSON of expires_in in an exchange's answer, or OmitExpiresIn. nil means the
	// seconds that the session really has left. (oauth-app-code-token-flow shows 0 in a sample; the PKCE page 3600.)
	ExpiresIn *string
	// RefreshToken puts a refresh_token into the answer. It is worth nothing here.
	RefreshToken bool
	// SameSession has exchanges for one user of one application give the same session while it lives.
	SameSession bool
	// CertificateDates refuses a JWT whose key was uploaded in a certificate that is not valid at the time.
	CertificateDates bool
	// ClockOffset is how far the server's clock is off, for JWTs and the Date header. The life of sessions does not
	// change.
	ClockOffset time.Duration
	// LogoutAnswer, if set, is the body of the 200 that answers a logout of a living session, which then is not
	// carried out, such as {"data":{"success":false}}.
	LogoutAnswer string
	// ExchangeDelay is how long an exchange takes. The session is started when the request arrives.
	ExchangeDelay time.Duration
	// EchoRefusals puts what the client sent, secrets and all, into the text of a refusal. A client must not repeat it.
	EchoRefusals bool
}

// DefaultBehaviour is what a Server starts with: the true expires_in, and a refresh token, which a client must drop.
func DefaultBehaviour() Behaviour { return Behaviour{RefreshToken: true} }

// SetBehaviour replaces all of the server's behaviour; start from DefaultBehaviour.
func (s *Server) SetBehaviour(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

func (s *Server) currentBehaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}
