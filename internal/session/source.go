package session

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Endpoint is a Workfront host, whom to trust there, and the version of its API.
type Endpoint = ledger.Endpoint

// Source is what a session is started from.
type Source struct {
	Endpoint       Endpoint
	ClientID       string
	ClientSecret   string
	SecretID       string // names the client secret, without telling anything of it
	CustomerID     string
	UserID         string
	Signer         *workfront.Signer
	KeyFingerprint string        // of the public half of the signing key
	Role           string        // the role that it is for; "" for the defaults of the mount
	Shared         bool          // among all readers of the role
	JWTTTL         time.Duration // lifetime of the JWT
	SessionTTL     time.Duration // lifetime of the session if Workfront states none
	RequestTimeout time.Duration // how long a reader waits, and how long an exchange that was sent may take
	MaxRetries     int           // further attempts after a failure that cannot have started a session
	MaxConnections int           // calls at a time to the host
}

func (s *Source) endpoint() workfront.Endpoint {
	return workfront.Endpoint{BaseURL: s.Endpoint.BaseURL, CACert: s.Endpoint.CACert}
}

// fingerprint stands for all that a shared session has to agree with to be issued. The client secret is not part of it: a
// session stays good when that is replaced.
func (s *Source) fingerprint() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		s.Endpoint.BaseURL, s.ClientID, s.CustomerID, s.UserID, s.KeyFingerprint,
	}, "\n")))
	return hex.EncodeToString(sum[:])
}

// The names of shares in storage.
const (
	defaultShare    = "config" // of the mount's defaults
	roleSharePrefix = "roles/"
)

// shareName names the share of a role, or of the mount's defaults if role is empty.
func shareName(role string) string {
	if role == "" {
		return defaultShare
	}
	return roleSharePrefix + role
}

// roleOf returns the role that a share is for.
func roleOf(share string) string {
	return strings.TrimPrefix(strings.TrimPrefix(share, defaultShare), roleSharePrefix)
}
