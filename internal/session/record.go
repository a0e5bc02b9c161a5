package session

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// recordVersion is the version of Record's form in storage.
const recordVersion = 1

// State is what is to be done with a session.
type State string

const (
	// StateActive says that the session is lent out.
	StateActive State = "active"
	// StateLogoutPending says that the session is to be logged out, and the last attempt did not succeed.
	StateLogoutPending State = "logout_pending"
)

// Endpoint is what a logout needs besides the session: the host that issued it, whom to trust there, and the
// version of the API. It is pinned to the session, so that a changed configuration cannot send the session to
// another host.
type Endpoint struct {
	workfront.Endpoint
	APIVersion string `json:"api_version"`
}

// Record is one session in the ledger.
type Record struct {
	Version   int       `json:"version"`
	Token     string    `json:"token"` // a credential: it leaves the plugin in the answer to a token read alone
	TokenType string    `json:"token_type"`
	Endpoint  Endpoint  `json:"endpoint"`
	Role      string    `json:"role,omitempty"`
	UserID    string    `json:"user_id"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Stated tells whether Workfront stated the end of the session, or it was assumed.
	Stated bool  `json:"stated"`
	State  State `json:"state"`
	// Lease is the lease that the session was started for, "" once that is gone. It stands here because
	// most sessions never have another one, and a put less counts. Further leases have entries of their own:
	// a list in here would have to be written anew, longer, for each.
	Lease leaseID `json:"lease,omitzero"`
	// ParkedAt is when the session was first found to be StateLogoutPending.
	ParkedAt time.Time `json:"parked_at,omitzero"`
}

// ID returns the name of the session in the ledger. It is made from what makes the session unique, so that a
// session that Workfront hands out twice is recognised, and it gives nothing of the token away.
func (r *Record) ID() string {
	sum := sha256.Sum256([]byte(r.Endpoint.BaseURL + "\n" + r.Token))
	return hex.EncodeToString(sum[:16])
}

// left returns how much of the session's life remains.
func (r *Record) left(now time.Time) time.Duration { return r.ExpiresAt.Sub(now) }

// fading tells whether a quarter of the session's life or less is left, so that it is time for another one.
func (r *Record) fading(now time.Time) bool {
	return r.left(now) <= r.ExpiresAt.Sub(r.IssuedAt)/4
}

// ended tells whether the session's end has passed. If that end was assumed, the session may yet be alive.
func (r *Record) ended(now time.Time) bool { return !now.Before(r.ExpiresAt) }

func (r *Record) event(kind EventKind) Event {
	return Event{Kind: kind, SessionID: r.ID(), Role: r.Role, BaseURL: r.Endpoint.BaseURL}
}
