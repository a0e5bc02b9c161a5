package session

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/notice"
)

// notices are the kinds of trouble that come in masses. Each is a line a minute at most.
type notices struct {
	pending, refresh, missing notice.Notice
	reads, disbelieved        notice.Tally
}

// notePending tells the log that the logout of a session is pending.
func (b *Broker) notePending(s *ledger.Session, cause error) {
	level, count := hclog.Debug, b.notices.pending.Add(b.now())
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
	if count := b.notices.refresh.Add(b.now()); count > 0 {
		b.logger.Warn("failed to replace shared sessions; each is issued until it expires", "attempts", count,
			"role", role, "error", err)
	}
}

// noteMissing tells the log that a lease was revoked whose session is not in the ledger: it was ended before, or lost.
func (b *Broker) noteMissing(ref LeaseRef) {
	b.logger.Debug("revoked a lease whose session is not in the ledger: it was logged out before, expired, or was lost",
		"session_id", ref.SessionID, "base_url", ref.BaseURL)
	b.tellMissing(b.notices.missing.Add(b.now()))
}

func (b *Broker) tellMissing(count int) {
	if count > 0 {
		b.logger.Info("revoked leases whose sessions are not in the ledger: logged out before, expired, or lost", "leases", count)
	}
}

// noteReadFailed tells the log that a reader got an error instead of a session. A reader that has left, and a request that
// came while the plugin is being unloaded or on a node that cannot write, are not failures.
func (b *Broker) noteReadFailed(ctx context.Context, role string, err error) {
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, ErrClosed) || ledger.IsReadOnly(err) {
		return
	}
	b.logger.Debug("failed to issue a session", "role", role, "error", err)
	b.tellReads(b.notices.reads.Add(b.now(), role, err))
}

func (b *Broker) tellReads(r notice.Report) {
	if r.Count > 0 {
		b.logger.Warn("failed to issue sessions; the readers got errors", "reads", r.Count, "roles", r.Roles, "error", r.Err)
	}
}

// noteDisbelieved tells the log that Workfront stated a lifetime that cannot be meant, perhaps in another unit.
func (b *Broker) noteDisbelieved(role string) {
	b.tellDisbelieved(b.notices.disbelieved.Add(b.now(), role, nil))
}

func (b *Broker) tellDisbelieved(r notice.Report) {
	if r.Count > 0 {
		b.logger.Warn("workfront stated session lifetimes of more than 32 days; assuming session_ttl instead",
			"sessions", r.Count, "roles", r.Roles)
	}
}

// tellSums tells the log of what was counted since it was last told. How many logouts are pending, maintenance says.
func (b *Broker) tellSums() {
	now := b.now()
	b.tellMissing(b.notices.missing.Due(now))
	b.tellReads(b.notices.reads.Due(now))
	b.tellDisbelieved(b.notices.disbelieved.Due(now))
	if count := b.notices.refresh.Due(now); count > 0 {
		b.logger.Warn("failed to replace shared sessions; each is issued until it expires", "attempts", count)
	}
}
