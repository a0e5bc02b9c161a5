package session

import (
	"context"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// record enters a session that Workfront returned into the ledger, with fresh.Lease as a lease on it, and returns what the
// ledger now holds. If it cannot, it logs the session out, unless another lease holds it. began is a moment before the
// session was exchanged.
func (b *Broker) record(
	ctx context.Context, l ledger.Ledger, fresh *ledger.Session, began *logoutMark,
) (*ledger.Session, error) {
	id := fresh.ID()
	// Workfront may have returned a session that lives already.
	known, err := b.attach(ctx, l, id, fresh.Lease, func(known *ledger.Session) bool { return !b.restates(known, fresh) })
	if err != nil {
		b.releaseUndelivered(ctx, l, newLease(fresh.Lease, known, known.ExpiresAt))
		return nil, err
	}
	if known != nil {
		return known, nil
	}
	h, err := b.hold(ctx, l, id)
	if err != nil {
		// Whether another lease holds this session cannot be told now, so it must not be logged out now.
		b.owe(fresh, fresh.Lease)
		return nil, err
	}
	defer b.letGo(h)
	return b.recordHeld(ctx, l, h, fresh, began)
}

// recordHeld is record for a caller that holds the session. fresh.Lease may be zero.
func (b *Broker) recordHeld(
	ctx context.Context, l ledger.Ledger, h *handle, fresh *ledger.Session, began *logoutMark,
) (*ledger.Session, error) {
	if began.since(h.id) {
		return nil, errLoggedOut
	}
	recorded := fresh
	var err error
	if h.session == nil {
		if err = l.Create(ctx, fresh); err != nil {
			b.trusts.drop()
			b.setStale(h)
			b.endUnrecorded(ctx, l, fresh, err)
			return nil, err
		}
	} else {
		recorded = b.renewed(h.session, fresh)
		if err = l.Update(ctx, h.session, recorded, fresh.Lease); err != nil {
			b.undoUpdate(ctx, l, h, fresh)
			return nil, err
		}
	}
	b.setHeld(h, recorded, h.leases)
	if !fresh.Lease.IsZero() {
		h.leases.note(fresh.Lease)
	}
	b.setEnding(h, notEnding) // Workfront returned it just now, so it lives
	return recorded, nil
}

// restatement is how much later than known a new statement of a session's expiry has to be to be worth a write when a reader
// of its own is returned a session that lives already: less than that is the rounding and the travel of the answer.
const restatement = time.Minute

// restates reports whether the ledger has to take up what fresh says of the lifetime of a session that it holds. An earlier
// expiry always counts: no lease may outlive it.
func (b *Broker) restates(known, fresh *ledger.Session) bool {
	if !fresh.Stated {
		return b.assumesAnew(known)
	}
	by := fresh.ExpiresAt.Sub(known.ExpiresAt)
	return !known.Stated || by < 0 || by > min(restatement, fresh.Lifetime/4)
}

// assumesAnew reports whether a session that was returned without a statement is assumed to live for session_ttl again: the
// exchange has shown that it lives. What was stated is never replaced by an assumption before it has passed.
func (b *Broker) assumesAnew(known *ledger.Session) bool {
	now := b.now()
	if known.Stated {
		return known.Expired(now)
	}
	return known.InLastQuarter(now)
}

// renewed returns what becomes of a session in the ledger that Workfront has returned again. If its logout was pending, or
// Workfront did not know it, it is active again.
func (b *Broker) renewed(known, fresh *ledger.Session) *ledger.Session {
	updated := *known
	switch {
	case fresh.Stated:
		updated.ExpiresAt, updated.Lifetime, updated.Stated = fresh.ExpiresAt, fresh.Lifetime, true
	case b.assumesAnew(known):
		// session_ttl may have been shortened: leases that were issued for longer keep what they were promised.
		updated.ExpiresAt = later(known.ExpiresAt, fresh.ExpiresAt)
		updated.Lifetime, updated.Stated = fresh.Lifetime, false
	}
	if fresh.MayHavePages() {
		updated = *updated.WithPages()
	}
	return activated(&updated)
}

// activated returns s as a session that may be issued.
func activated(s *ledger.Session) *ledger.Session {
	a := *s
	a.State, a.PendingSince, a.Unannounced = ledger.StateActive, time.Time{}, false
	return &a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// undoUpdate takes a lease off again that storage may or may not have taken. The caller holds the session.
func (b *Broker) undoUpdate(ctx context.Context, l ledger.Ledger, h *handle, fresh *ledger.Session) {
	b.setStale(h)
	err := b.load(ctx, l, h)
	if err == nil {
		err = b.releaseHeld(ctx, l, h, fresh.Lease)
	}
	if err != nil {
		b.setStale(h)
		b.owe(fresh, fresh.Lease)
		b.logger.Error("failed to release an undelivered lease; will retry", "session_id", h.id, "error", err)
	}
}

// endUnrecorded logs out a session that storage did not take. No reader ever got it, and no lease holds it.
func (b *Broker) endUnrecorded(ctx context.Context, l ledger.Ledger, s *ledger.Session, cause error) {
	if err := b.tryLogout(ctx, l, s); err != nil {
		b.logger.Error("a session could be neither stored nor logged out; will retry",
			"session_id", s.ID(), "base_url", s.Endpoint.BaseURL, "storage_error", cause, "error", err)
		b.owe(s, s.Lease)
		return
	}
	// Storage that reports an error may have written all the same.
	if err := l.Remove(ctx, s, ledger.Leases{}); err != nil {
		b.owe(s, s.Lease)
	}
}
