package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// State is what is to be done with a session.
type State string

const (
	// StateActive says that the session may be issued.
	StateActive State = "active"
	// StateEnding says that the session is being logged out, or that its logout is pending.
	StateEnding State = "ending"
	// StateGone says that Workfront does not know the session any more. It is neither issued nor renewed, and ends with
	// its last lease.
	StateGone State = "gone"
)

// Endpoint is what a logout needs besides the session: the host that issued it, whom to trust there, and the version of
// the API. It is pinned to the session, so that a changed configuration cannot send the session to another host.
type Endpoint struct {
	BaseURL string `json:"base_url"`
	// CACert is PEM, trusted besides the system's roots. In the ledger only the session of a trial carries it: most sessions
	// are issued under the same few certificates, which are long, and name them by Session.Trust.
	CACert     string `json:"ca_cert,omitempty"`
	APIVersion string `json:"api_version"`
}

// Session is one session as the ledger holds it.
type Session struct {
	Version   int      `json:"version"`
	Token     string   `json:"token"` // a credential: it leaves the plugin in the answer to a token read alone
	TokenType string   `json:"token_type"`
	Endpoint  Endpoint `json:"endpoint"`
	// Trust is the TrustID of the CA certificates that the session pins, "" if there are none or Endpoint carries them.
	Trust string `json:"trust,omitempty"`
	// SecretID names the client secret that the session was started with (never the secret itself).
	SecretID  string    `json:"secret_id,omitempty"`
	Role      string    `json:"role,omitempty"`
	UserID    string    `json:"user_id"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Lifetime is what was last stated or assumed of the session's lifetime, from the exchange that returned it.
	Lifetime time.Duration `json:"lifetime"`
	// Stated reports whether Workfront stated when the session expires; otherwise that was assumed.
	Stated bool  `json:"stated"`
	State  State `json:"state"`
	// Owed: its logout is owed, whether or not a revocation repeats it, and regardless of leases. In storage, that is an
	// entry in the index of pending logouts.
	Owed bool `json:"-"`
	// Lease is the lease that the session was recorded with, zero if there was none or it is released; it is never set
	// again. It is in here because most sessions never have another one, and each write counts.
	Lease LeaseID `json:"lease,omitzero"`
	// PendingSince is when the first attempt to log it out failed.
	PendingSince time.Time `json:"pending_since,omitzero"`
	// Unannounced: operators were not told yet that the logout is pending.
	Unannounced bool `json:"unannounced,omitempty"`
}

// NewSession returns s as a session that is active, in the form that this build stores. Its times are times of the wall
// clock: the monotonic one stands still while the machine is suspended, and the session goes on to expire.
func NewSession(s Session) *Session {
	s.Version, s.State = version, StateActive
	s.IssuedAt, s.ExpiresAt = s.IssuedAt.Round(0), s.ExpiresAt.Round(0)
	return &s
}

// asEnding returns s as a session that is being logged out. own is the lease in it that is left, if there is one.
func (s *Session) asEnding(how End, own LeaseID) *Session {
	ending := *s
	ending.Version, ending.State, ending.Lease = version, StateEnding, own
	ending.Owed = s.Owed || how.Owed || how.Regardless || !how.Since.IsZero()
	if ending.PendingSince.IsZero() && !how.Since.IsZero() {
		ending.PendingSince, ending.Unannounced = how.Since, true
	}
	ending.Unannounced = ending.Unannounced && !how.Announced
	return &ending
}

// ID returns the name of the session in the ledger: its SessionID.
func (s *Session) ID() string { return SessionID(s.Endpoint.BaseURL, s.Token) }

// SessionID returns the name of a session in the ledger. It is derived from what makes the session unique, the host in
// its normal form and the token, so that a session that Workfront returns twice is recognized, and it gives nothing of
// the token away.
func SessionID(baseURL, token string) string {
	sum := sha256.Sum256([]byte(baseURL + "\n" + token))
	return hex.EncodeToString(sum[:16])
}

// Left returns how much of the session's lifetime remains.
func (s *Session) Left(now time.Time) time.Duration { return s.ExpiresAt.Sub(now) }

// InLastQuarter reports whether a quarter of the session's lifetime is left, or less. A session that Workfront returned
// again and extended is not in it any more.
func (s *Session) InLastQuarter(now time.Time) bool { return s.Left(now) <= s.Lifetime/4 }

// Expired reports whether the session's lifetime is over. If that was assumed, the session may yet be alive.
func (s *Session) Expired(now time.Time) bool { return !now.Before(s.ExpiresAt) }

// indexKeys returns the index entries that lead to the session.
func (s *Session) indexKeys() []string {
	keys := []string{expiryKey(s.ID(), s.ExpiresAt)}
	if s.Owed {
		keys = append(keys, pendingPrefix+s.ID())
	}
	return keys
}

// indexed reports whether the index entry leads to s, which may be nil.
func (s *Session) indexed(key string) bool { return s != nil && slices.Contains(s.indexKeys(), key) }
