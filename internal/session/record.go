package session

import (
	"context"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// record enters a session that Workfront returned into the ledger, and returns what the ledger now holds. own is the
// lease to record it with if it is new, zero for none; recorded.Lease is own if it was. began is a moment before the
// session was exchanged. If it cannot be recorded, it is logged out, unless the ledger holds it.
func (b *Broker) record(
	ctx context.Context, v ledger.View, fresh *ledger.Session, own ledger.LeaseID, began *logoutMark,
) (recorded *ledger.Session, err error) {
	h, err := v.Hold(ctx, fresh.ID())
	if err != nil {
		// Whether a lease holds this session cannot be known now, so it must not be logged out now.
		v.Owe(fresh.ID(), fresh)
		return nil, err
	}
	defer h.Release()
	return b.recordHeld(ctx, v, h, fresh, own, began)
}

// recordHeld is record for a caller that holds the session.
func (b *Broker) recordHeld(
	ctx context.Context, v ledger.View, h *ledger.Held, fresh *ledger.Session, own ledger.LeaseID, began *logoutMark,
) (*ledger.Session, error) {
	if began.since(fresh.ID()) {
		return nil, errLoggedOut
	}
	recorded := *fresh
	recorded.Lease = own
	if known := h.Stored(); known != nil {
		recorded = *b.renewed(known, fresh)
	}
	if err := h.Record(ctx, &recorded); err != nil {
		b.trusts.drop()
		if h.Ending() { // no reader got it, and no lease holds it
			b.endUnrecorded(ctx, v, h, err)
		}
		return nil, err
	}
	return h.Session(), nil
}

// endUnrecorded logs out a session that storage did not take.
func (b *Broker) endUnrecorded(ctx context.Context, v ledger.View, h *ledger.Held, storageErr error) {
	s := h.Session()
	_, cause, err := b.end(ctx, v, h, attempt{End: ledger.End{Owed: true}})
	if err == nil {
		err = cause
	}
	if err != nil {
		b.logger.Error("a session could be neither stored nor logged out; will retry",
			"session_id", s.ID(), "base_url", s.Endpoint.BaseURL, "storage_error", storageErr, "error", err)
	}
}

// restatement is how much later than known a new statement of a session's expiry has to be to be worth a write: less
// than that is the rounding and the travel of the answer.
const restatement = time.Minute

// restates reports whether the ledger has to take up what fresh says of the lifetime of a session that it holds. An
// earlier expiry always counts: no lease may outlive it. So does a statement in the last quarter: what is a quarter of
// the lifetime goes by the last one.
func (b *Broker) restates(known, fresh *ledger.Session) bool {
	if !fresh.Stated {
		return b.assumesAnew(known)
	}
	by := fresh.ExpiresAt.Sub(known.ExpiresAt)
	return !known.Stated || by < 0 || by > min(restatement, fresh.Lifetime/4) || known.InLastQuarter(b.now())
}

// assumesAnew reports whether a session that was returned without a statement is assumed to live for session_ttl again:
// the exchange has shown that it lives. What was stated is never replaced by an assumption before it has passed.
func (b *Broker) assumesAnew(known *ledger.Session) bool {
	now := b.now()
	if known.Stated {
		return known.Expired(now)
	}
	return known.InLastQuarter(now)
}

// renewed returns what a session in the ledger is after Workfront has returned it again.
func (b *Broker) renewed(known, fresh *ledger.Session) *ledger.Session {
	updated := *known
	if !b.restates(known, fresh) {
		return &updated
	}
	updated.ExpiresAt, updated.Lifetime, updated.Stated = fresh.ExpiresAt, fresh.Lifetime, fresh.Stated
	if !fresh.Stated && known.ExpiresAt.After(fresh.ExpiresAt) {
		// session_ttl may have been shortened: leases that were issued for longer keep what they were promised.
		updated.ExpiresAt = known.ExpiresAt
	}
	return &updated
}
