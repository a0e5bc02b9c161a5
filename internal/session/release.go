package session

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// Release ends one lease. The last lease to go logs the session out. If that is not possible now, its logout is pending,
// which is no error: maintenance tries again. Releasing a lease twice, or one whose session is gone, is no error either.
// What is returned is a failure of storage, an entry of a newer version, or the cancellation of ctx; the call can be
// repeated.
func (b *Broker) Release(ctx context.Context, storage logical.Storage, ref LeaseRef) error {
	return b.release(ctx, b.ledger.In(storage), ref)
}

func (b *Broker) release(ctx context.Context, v ledger.View, ref LeaseRef) error {
	lease, err := ledger.ParseLeaseID(ref.ID)
	if err != nil {
		b.logger.Error("revoked a lease that is not one of this plugin's; there is nothing to log out",
			"session_id", ref.SessionID, "base_url", ref.BaseURL, "error", err)
		return nil
	}
	for {
		released, err := v.Detach(ctx, ref.SessionID, lease)
		switch {
		case ledger.IsDamaged(err):
			b.logger.Error("revoked a lease whose storage entry is damaged; its session is logged out when it expires, or by "+
				"`vault delete` of this mount's sessions/<session_id>",
				"session_id", ref.SessionID, "base_url", ref.BaseURL, "error", err)
			return nil
		case err != nil:
			return err
		case released == ledger.DetachedMissing:
			b.noteMissing(ref)
			return nil
		case released == ledger.DetachedStored:
			return nil
		}
		if ended, err := b.endUnleased(ctx, v, ref.SessionID, ledger.End{}); ended || err != nil {
			return err
		}
		// Another lease came in between. The release of this one has to be stored then.
	}
}

// endUnleased ends a session that has no lease. ended is false if it has one.
func (b *Broker) endUnleased(ctx context.Context, v ledger.View, id string, how ledger.End) (ended bool, err error) {
	h, err := v.Hold(ctx, id)
	if err != nil {
		return false, err
	}
	defer h.Release()
	return b.endUnleasedHeld(ctx, v, h, how)
}

// endUnleasedHeld is endUnleased for a caller that holds the session.
func (b *Broker) endUnleasedHeld(ctx context.Context, v ledger.View, h *ledger.Held, how ledger.End) (ended bool, err error) {
	switch s := h.Session(); {
	case s == nil:
		return true, nil
	case h.Leased():
		return false, nil
	case s.Owed && !s.PendingSince.IsZero() && !h.LoggedOut():
		return true, h.Finish(ctx) // an earlier attempt failed, and maintenance retries
	}
	f, _, err := b.end(ctx, v, h, attempt{End: how})
	return f != leased, err
}

// endUnusable records a session that no reader may get, without a lease, and ends it, so that its logout is pending
// if it fails. began is a moment before the session was exchanged.
func (b *Broker) endUnusable(ctx context.Context, v ledger.View, s *ledger.Session, began *logoutMark) {
	h, err := v.Hold(ctx, s.ID())
	if err != nil {
		v.Owe(s.ID(), s)
		return
	}
	defer h.Release()
	if _, err := b.recordHeld(ctx, v, h, s, ledger.LeaseID{}, began); err != nil {
		return // it was logged out, or that is owed
	}
	if _, err := b.endUnleasedHeld(ctx, v, h, ledger.End{Owed: true}); err != nil {
		b.logger.Error("failed to end a session that cannot be issued; will retry", "session_id", s.ID(), "error", err)
	}
}

// releaseMoved is releaseUndelivered without waiting: the session may be the one that is being logged out, and no reader
// waits for that.
func (b *Broker) releaseMoved(ctx context.Context, v ledger.View, lease *Lease) {
	if err := b.begin(); err != nil {
		b.releaseUndelivered(ctx, v, lease)
		return
	}
	go func() {
		defer b.inFlight.Done()
		b.releaseUndelivered(ctx, v, lease)
	}()
}

// releaseUndelivered releases a lease that did not reach its reader.
func (b *Broker) releaseUndelivered(ctx context.Context, v ledger.View, lease *Lease) {
	if err := b.release(ctx, v, lease.LeaseRef); err != nil {
		b.logger.Error("failed to release an undelivered lease; will retry", "session_id", lease.SessionID, "error", err)
	}
}
