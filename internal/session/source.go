package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

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

// Trust is what the configuration trusts with sessions at the moment.
type Trust struct {
	BaseURL  string
	CACert   string // PEM
	SecretID string // names the client secret
}

// logoutEndpoint returns where s is logged out, and whom to trust there: the host that issued it and the trust that it pins.
// If the configuration names the same host, and still holds the client secret that the session was started with, its trust
// is good as well: the CA of a gateway is replaced now and then. Anyone who can write the configuration without knowing the
// secret changes the secret's ID, and gets nothing sent.
func (b *Broker) logoutEndpoint(ctx context.Context, storage logical.Storage, s *ledger.Session) workfront.Endpoint {
	pinned := workfront.Endpoint{BaseURL: s.Endpoint.BaseURL, CACert: s.Endpoint.CACert}
	t, err := b.trust(ctx, storage)
	if err != nil {
		b.logger.Debug("cannot tell what the configuration trusts; using the trust that the session pins",
			"session_id", s.ID(), "error", err)
		return pinned
	}
	if t == nil || t.BaseURL != pinned.BaseURL || t.SecretID != s.SecretID || t.CACert == "" || t.CACert == pinned.CACert {
		return pinned
	}
	pinned.CACert = strings.TrimSpace(pinned.CACert + "\n" + t.CACert)
	return pinned
}
