package session

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// noticeEvery is how often the log is told of one kind of trouble, at most: an outage meets thousands of sessions.
const noticeEvery = time.Minute

// notices are the kinds of trouble that come in masses. The first is told with its cause, and of those that follow within a
// minute the sum.
type notices struct{ pending, refresh, missing notice }

// notice counts what happened since the log was last told.
type notice struct {
	mu     sync.Mutex
	toldAt time.Time
	count  int
}

// add counts one, and returns how many the log is to be told of now, or 0.
func (n *notice) add(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	return n.dueLocked(now)
}

// due is add without another one.
func (n *notice) due(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dueLocked(now)
}

func (n *notice) dueLocked(now time.Time) int {
	if n.count == 0 || now.Sub(n.toldAt) < noticeEvery {
		return 0
	}
	count := n.count
	n.count, n.toldAt = 0, now
	return count
}

// notePending tells the log that the logout of a session is pending.
func (b *Broker) notePending(s *ledger.Session, cause error) {
	level, count := hclog.Debug, b.notices.pending.add(b.now())
	if count > 0 {
		level = hclog.Warn
	}
	b.logger.Log(level, "session not logged out; logout pending, will retry", "session_id", s.ID(),
		"base_url", s.Endpoint.BaseURL, "sessions", max(count, 1), "until", retryUntil(s).Format(time.RFC3339), "error", cause)
}

// noteRefreshFailed tells the log and the observer that there is no replacement for a shared session yet.
func (b *Broker) noteRefreshFailed(role string, err error) {
	b.observer.RefreshFailed()
	b.logger.Debug("failed to replace a shared session", "role", role, "error", err)
	if count := b.notices.refresh.add(b.now()); count > 0 {
		b.logger.Warn("failed to replace shared sessions; each is issued until it expires", "attempts", count,
			"role", role, "error", err)
	}
}

// noteMissing tells the log that a lease was revoked whose session is not in the ledger: it was ended before, or lost.
func (b *Broker) noteMissing(ref LeaseRef) {
	b.logger.Debug("revoked a lease whose session is not in the ledger: it was logged out before, expired, or was lost",
		"session_id", ref.SessionID, "base_url", ref.BaseURL)
	b.tellMissing(b.notices.missing.add(b.now()))
}

func (b *Broker) tellMissing(count int) {
	if count > 0 {
		b.logger.Info("revoked leases whose sessions are not in the ledger: logged out before, expired, or lost", "leases", count)
	}
}

// tellSums tells the log of what was counted since it was last told. How many logouts are pending, maintenance says.
func (b *Broker) tellSums() {
	now := b.now()
	b.tellMissing(b.notices.missing.due(now))
	if count := b.notices.refresh.due(now); count > 0 {
		b.logger.Warn("failed to replace shared sessions; each is issued until it expires", "attempts", count)
	}
}
