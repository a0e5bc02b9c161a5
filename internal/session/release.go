package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// Release ends one lease. The last lease to go logs the session out. If that is not possible now, its logout is pending,
// which is no error: maintenance tries again. Releasing a lease twice, or one whose session is gone, is no error either. What is
// returned is a failure of storage, an entry of a newer version, or the cancellation of ctx; the call can be repeated.
func (b *Broker) Release(ctx context.Context, storage logical.Storage, ref LeaseRef) error {
	return b.release(ctx, ledger.New(storage), ref)
}

func (b *Broker) release(ctx context.Context, l ledger.Ledger, ref LeaseRef) error {
	lease, err := ledger.ParseLeaseID(ref.ID)
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	if b.endsRegardless(ref.SessionID, lease) {
		return l.RemoveLease(ctx, ref.SessionID, lease) // the session's end is seen to, and nobody waits for it
	}
	if done, err := b.detach(ctx, l, ref.SessionID, lease); done || err != nil {
		return err
	}
	h, err := b.hold(ctx, l, ref.SessionID)
	if damaged := (*ledger.DamagedError)(nil); errors.As(err, &damaged) {
		b.logger.Error("revoked a lease on a damaged session; nobody can log that session out any more",
			"session_id", ref.SessionID, "base_url", ref.BaseURL, "error", err)
		return l.RemoveLease(ctx, ref.SessionID, lease)
	}
	if err != nil {
		return err
	}
	if h.session != nil && h.leases.hasOther(lease, h.session.Lease) {
		// Others who wait for the session may come for their leases as well: they are removed together, and none holds it meanwhile.
		b.letGo(h)
		if done, err := b.detachInTurn(ctx, l, ref.SessionID, lease); done || err != nil {
			return err
		}
		if h, err = b.hold(ctx, l, ref.SessionID); err != nil {
			return err
		}
	}
	defer b.letGo(h)
	if h.session == nil {
		b.noteMissing(ref)
	}
	if err := b.releaseHeld(ctx, l, h, lease); err != nil {
		b.setStale(h)
		return err
	}
	return nil
}

// releaseHeld is Release for a caller that holds the session.
func (b *Broker) releaseHeld(ctx context.Context, l ledger.Ledger, h *handle, lease ledger.LeaseID) error {
	if h.session == nil {
		// Logged out, or expired. An interrupted removal may have left the lease.
		return l.RemoveLease(ctx, h.id, lease)
	}
	on := h.leases.has(lease)
	others := h.leases.len()
	if on {
		others--
	}
	switch {
	case others == 0 && h.session.State == ledger.StateLogoutPending && !on:
		return nil // made pending by an earlier try of this revocation
	case others == 0:
		return b.endHeld(ctx, l, h, endingUnleased, b.tryLogout)
	case lease == h.session.Lease && on:
		updated := *h.session
		updated.Lease = ledger.LeaseID{}
		if err := l.Update(ctx, h.session, &updated, ledger.LeaseID{}); err != nil {
			return err
		}
		b.setHeld(h, &updated, h.leases)
		h.leases.drop(lease)
		return nil
	}
	return h.leases.remove(ctx, l, h.id, lease)
}

// endUnleased ends the session that the caller holds if no one leases it.
func (b *Broker) endUnleased(ctx context.Context, l ledger.Ledger, h *handle) error {
	if h.session == nil || h.leases.len() > 0 || h.session.State == ledger.StateLogoutPending {
		return nil
	}
	session := h.session
	err := b.endHeld(ctx, l, h, endingUnleased, b.tryLogout)
	if err != nil {
		b.setStale(h)
		b.owe(session, ledger.LeaseID{})
	}
	return err
}

// endUnusable records a session that no reader may get, without a lease, and ends it, so that its logout is pending
// if it fails. began is a moment before the session was exchanged.
func (b *Broker) endUnusable(ctx context.Context, l ledger.Ledger, s *ledger.Session, began *logoutMark) {
	h, err := b.hold(ctx, l, s.ID())
	if err != nil {
		b.owe(s, ledger.LeaseID{})
		return
	}
	defer b.letGo(h)
	if _, err := b.recordHeld(ctx, l, h, s, began); err != nil {
		return // it was logged out, or that is owed
	}
	if err := b.endUnleased(ctx, l, h); err != nil {
		b.logger.Error("failed to end a session that cannot be issued; will retry", "session_id", h.id, "error", err)
	}
}

// releaseUndelivered releases a lease that did not reach its reader.
func (b *Broker) releaseUndelivered(ctx context.Context, l ledger.Ledger, lease *Lease) {
	if err := b.release(ctx, l, lease.LeaseRef); err != nil {
		b.owe(lease.session, lease.id)
		b.logger.Error("failed to release an undelivered lease; will retry", "session_id", lease.SessionID, "error", err)
	}
}
