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
	return b.ledger.In(storage).Get(ctx, id)
}

// IDs returns the IDs of all sessions in the ledger, sorted.
func (b *Broker) IDs(ctx context.Context, storage logical.Storage) ([]string, error) {
	ids, err := b.ledger.In(storage).IDs(ctx)
	slices.Sort(ids)
	return ids, err
}

// Leases returns how many leases a session has. The error is a *ledger.DamagedError, a *ledger.NewerError or a failure of
// storage.
func (b *Broker) Leases(ctx context.Context, storage logical.Storage, s *ledger.Session) (int, error) {
	return b.ledger.In(storage).Leases(ctx, s)
}

// Terminate logs a session out at Workfront now, regardless of its leases, which can be revoked as usual afterwards. It
// goes on when ctx is cancelled: once the first write is done, the session is logged out, or its logout is pending and
// retried; then the error says why. One that is past its stated expiry is tried until Workfront answers. A session that
// is not in the ledger is no error. An entry that cannot be read is deleted, and unreadable is true: that session can no
// longer be logged out.
func (b *Broker) Terminate(ctx context.Context, storage logical.Storage, id string) (unreadable bool, err error) {
	if err := b.begin(); err != nil {
		return false, err
	}
	defer b.inFlight.Done()
	ctx = context.WithoutCancel(ctx)
	v := b.ledger.In(storage)
	h, err := v.Hold(ctx, id)
	if ledger.IsUnreadable(err) {
		b.logger.Warn("deleting the unreadable entry of a session, which can no longer be logged out", "session_id", id,
			"error", err)
		return true, v.RemoveUnreadable(ctx, id)
	}
	if err != nil {
		return false, err
	}
	defer h.Release()
	f, cause, err := b.end(ctx, v, h, attempt{End: ledger.End{Regardless: true, Owed: true}, owed: true, force: true})
	if err == nil && f == logoutPending {
		err = cause
	}
	return false, err
}
