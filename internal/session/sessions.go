package session

import (
	"context"
	"slices"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// Session returns what the ledger holds under that ID, or nil if the session is gone. It is not to be changed. The error is
// a *ledger.DamagedError, a *ledger.NewerError or a failure of storage.
func (b *Broker) Session(ctx context.Context, storage logical.Storage, id string) (*ledger.Session, error) {
	return ledger.New(storage).Get(ctx, id)
}

// IDs returns the IDs of all sessions in the ledger, sorted.
func (b *Broker) IDs(ctx context.Context, storage logical.Storage) ([]string, error) {
	ids, err := ledger.New(storage).IDs(ctx)
	slices.Sort(ids)
	return ids, err
}

// Leases returns how many leases a session has. The error is a *ledger.DamagedError, a *ledger.NewerError or a failure of
// storage.
func (b *Broker) Leases(ctx context.Context, storage logical.Storage, s *ledger.Session) (int, error) {
	if n, ok := b.leasesInMemory(s.ID()); ok {
		return n, nil
	}
	leases, err := readLeases(ctx, ledger.New(storage), s)
	if err != nil {
		return 0, err
	}
	return leases.len(), leases.damage()
}

func (b *Broker) leasesInMemory(id string) (n int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	if !b.useLocked(h) {
		return 0, false
	}
	defer b.endUseLocked(h)
	return h.leases.len(), h.leases.damage() == nil
}

// Terminate logs a session out at Workfront now, regardless of its leases, which can be revoked as usual afterwards. It
// goes on when ctx is cancelled: once the first write is done, the session is logged out, or its logout is pending and
// retried; then the error says why. One that is past its stated expiry is tried until Workfront answers. A session that is not in the ledger is no error. An entry that cannot be read is
// deleted, and unreadable is true: nobody can log that session out any more.
func (b *Broker) Terminate(ctx context.Context, storage logical.Storage, id string) (unreadable bool, err error) {
	if err := b.begin(); err != nil {
		return false, err
	}
	defer b.inFlight.Done()
	ctx = context.WithoutCancel(ctx)
	l := ledger.New(storage)
	h, err := b.hold(ctx, l, id)
	if isUnreadable(err) {
		b.logger.Warn("deleting the unreadable entry of a session; nobody can log that session out any more", "session_id", id,
			"error", err)
		return true, l.RemoveUnreadable(ctx, id)
	}
	if err != nil {
		return false, err
	}
	defer b.letGo(h)
	if h.session == nil {
		return false, nil
	}
	// The session is not issued any more. Revocations wait until its end is certain.
	b.setEnding(h, endingUnleased)
	// Pending comes first, so that this outlives the process as well.
	pending := b.pending(h.session)
	if err := l.Update(ctx, h.session, pending, ledger.LeaseID{}); err != nil {
		b.setStale(h)
		b.setEnding(h, notEnding)
		return false, err
	}
	b.setHeld(h, pending, h.leases)
	f, cause, err := b.end(ctx, l, h, pending, attempt{how: endingRegardless, logout: b.logoutNow, owed: true})
	if err != nil {
		b.setStale(h)
		return false, err
	}
	if f == logoutPending {
		return false, cause
	}
	return false, nil
}
