package session

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// Shares returns for whom a session is or was shared: the values of Source.Share.
func (b *Broker) Shares(ctx context.Context, storage logical.Storage) ([]string, error) {
	return logical.CollectKeysWithPrefix(ctx, logical.NewStorageView(storage, currentPrefix), "")
}

// Retire ends what is shared there, if no one leases it: nobody will read it any more.
func (b *Broker) Retire(ctx context.Context, storage logical.Storage, share string) error {
	l := ledger{storage}
	b.mu.Lock()
	delete(b.pools, share)
	b.mu.Unlock()
	current, err := l.current(ctx, share)
	if err != nil || current.SessionID == "" {
		return err
	}
	// The hint goes last: without it, nobody would find the session again if this is cut off.
	b.retire(ctx, l, current.SessionID)
	return l.delete(ctx, currentPrefix+share)
}

// retire ends a session that was replaced and that no one leases. Else its last lease ends it.
func (b *Broker) retire(ctx context.Context, l ledger, id string) {
	e, err := b.hold(ctx, l, id)
	if err == nil {
		b.mu.Lock()
		e.shared = false
		b.mu.Unlock()
		err = b.endUnleased(ctx, l, e)
		b.letGo(e)
	}
	if err != nil {
		b.logger.Warn("a replaced session could not be ended; it stays until its end", "session_id", id, "error", err)
	}
}

// endUnleased ends the session that e holds if no one leases it.
func (b *Broker) endUnleased(ctx context.Context, l ledger, e *entry) error {
	if e.record == nil || len(e.leases) > 0 || e.record.State != StateActive {
		return nil
	}
	record := e.record
	err := b.end(ctx, l, e)
	if err != nil {
		e.failed()
		b.stray(record, leaseID{})
	}
	return err
}
