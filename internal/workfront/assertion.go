package workfront

import (
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the three claims that Workfront documents for its JWT, and the only ones that are sent (Adobe,
// "Use the JWT flow in custom OAuth 2 applications").
type Claims struct {
	Issuer    string    // iss: the customer ID from the OAuth2 application's details, not the client ID
	Subject   string    // sub: the ID of the user who added the public key
	ExpiresAt time.Time // exp: a few minutes from now; whole seconds are sent
}

// Signer signs assertions with one key. It is safe for concurrent use.
type Signer struct {
	key   *rsa.PrivateKey
	wrong bool // see WithWrongSignature
}

// NewSigner returns a Signer that signs with key.
func NewSigner(key *rsa.PrivateKey) *Signer { return &Signer{key: key} }

// WithWrongSignature returns a Signer of the same key whose signatures do not verify, to see how Workfront refuses one.
func (s *Signer) WithWrongSignature() *Signer { return &Signer{key: s.key, wrong: true} }

// Sign returns the assertion that is exchanged for a session: a JWT signed with RS256. It is a credential: it must not be
// logged or returned to anyone. Adobe asks for one JWT for each access token. (RS256 is deterministic, RFC 8017, section 8.2, and
// exp has whole seconds: what is signed twice within one second is the same.)
func (s *Signer) Sign(c Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": c.Issuer,
		"sub": c.Subject,
		"exp": c.ExpiresAt.Unix(),
	})
	text, err := token.SigningString()
	if err != nil {
		return "", fmt.Errorf("sign jwt: %w", err)
	}
	signature, err := token.Method.Sign(text, s.key)
	if err != nil {
		return "", fmt.Errorf("sign jwt: %w", err)
	}
	if s.wrong {
		signature[len(signature)/2] ^= 1
	}
	return text + "." + token.EncodeSegment(signature), nil
}
