package session

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/vault/sdk/logical"
)

// Shares returns for whom a session is or was shared: the values of Source.Share.
func (b *Broker) Shares(ctx context.Context, storage logical.Storage) ([]string, error) {
	return logical.CollectKeysWithPrefix(ctx, logical.NewStorageView(storage, currentPrefix), "")
}

// Retire ends what is shared there, if no one leases it: nobody will read it any more.
func (b *Broker) Retire(ctx context.Context, storage logical.Storage, share string) error {
	l := ledger{storage}
	named, err := l.current(ctx, share)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range distinct(named.SessionID, b.forget(share)) {
		errs = append(errs, b.retire(ctx, l, id))
	}
	// The hint goes last: without it, nobody would find the session again if this fails or is cut off. A reader who still
	// goes by the old settings may have it name another one by now.
	if err := errors.Join(errs...); err != nil {
		return err
	}
	now, err := l.current(ctx, share)
	if err != nil || now.SessionID == "" || now.SessionID != named.SessionID {
		return err
	}
	return l.delete(ctx, currentPrefix+share)
}

// forget drops what memory knows of a share, and returns the ID of the session that it handed out.
func (b *Broker) forget(share string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pools[share]
	delete(b.pools, share)
	if p == nil {
		return ""
	}
	return p.current.SessionID
}

// distinct returns each of the IDs once, without those that are empty.
func distinct(ids ...string) []string {
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}

// retire ends a session that was replaced and that no one leases. Else its last lease ends it.
func (b *Broker) retire(ctx context.Context, l ledger, id string) error {
	e, err := b.hold(ctx, l, id)
	if err != nil {
		return err
	}
	defer b.letGo(e)
	b.mu.Lock()
	e.shared = false
	b.mu.Unlock()
	return b.endUnleased(ctx, l, e)
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
