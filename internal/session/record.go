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

// restatement is how much a new statement of a session's lifetime has to differ from the known one to count: less than that
// is the rounding and the travel of the answer.
const restatement = time.Minute

// restates tells whether fresh says something new of a session that the ledger holds. A session does not get younger by being
// returned again: a new statement counts, a new assumption only where the old one has proved wrong.
func (b *Broker) restates(known, fresh *ledger.Session) bool {
	if !fresh.Stated {
		return known.Expired(b.now().Add(MinLifetime))
	}
	return !known.Stated || known.ExpiresAt.Sub(fresh.ExpiresAt).Abs() > restatement
}

// renewed returns what becomes of a session in the ledger that Workfront has returned again. If its logout was pending, it
// is live again.
func (b *Broker) renewed(known, fresh *ledger.Session) *ledger.Session {
	updated := *known
	earlier := fresh.Stated && fresh.ExpiresAt.Before(known.ExpiresAt) // always counts: no lease may outlive it
	if earlier || b.restates(known, fresh) {
		updated.ExpiresAt, updated.Stated = fresh.ExpiresAt, fresh.Stated
	}
	if fresh.MayHavePages() {
		updated = *updated.WithPages()
	}
	if known.State == ledger.StateLogoutPending {
		updated.State, updated.PendingSince = ledger.StateActive, time.Time{}
	}
	return &updated
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
