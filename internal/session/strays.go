package session

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// stray names a lease that nobody has, or, with no lease, a session that nobody leases: what is left when storage fails while
// it is to be taken back or logged out. Strays are kept in memory until storage answers again.
type stray struct {
	sessionID string
	lease     leaseID
}

func (b *Broker) stray(r *Record, lease leaseID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strays[stray{r.ID(), lease}] = r
}

// straysBySession returns the strays, to be settled one session after the other.
func (b *Broker) straysBySession() map[string][]leaseID {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[string][]leaseID)
	for s := range b.strays {
		found[s.sessionID] = append(found[s.sessionID], s.lease)
	}
	return found
}

// strayRecords returns the sessions that have strays, by their IDs.
func (b *Broker) strayRecords() map[string]*Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	records := make(map[string]*Record)
	for s, r := range b.strays {
		records[s.sessionID] = r
	}
	return records
}

// settleStrays takes back the leases that nobody has, and ends the sessions that nobody leases.
func (b *Broker) settleStrays(ctx context.Context, l ledger, strays map[string][]leaseID) error {
	ids := make([]string, 0, len(strays))
	for id := range strays {
		ids = append(ids, id)
	}
	return b.each(ctx, l, ids, func(ctx context.Context, e *entry) error {
		for _, lease := range strays[e.id] {
			if err := b.settle(ctx, l, e, lease); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle settles one stray of a session that the caller holds.
func (b *Broker) settle(ctx context.Context, l ledger, e *entry, lease leaseID) error {
	b.mu.Lock()
	r := b.strays[stray{e.id, lease}]
	b.mu.Unlock()
	var err error
	switch {
	case r == nil:
		return nil
	case e.record != nil:
		err = b.releaseHeld(ctx, l, e, lease)
	default:
		e.record = r
		if lease != (leaseID{}) {
			e.leases[lease] = struct{}{} // an interrupted removal may have left it
		}
		// If it has to be parked, it needs its place in the index.
		if err = l.mark(ctx, expiryKey(e.id, r.ExpiresAt)); err == nil {
			err = b.end(ctx, l, e)
		}
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.strays, stray{e.id, lease})
	return nil
}

// takeBack releases a lease that did not reach its reader.
func (b *Broker) takeBack(ctx context.Context, storage logical.Storage, r *Record, lease leaseID) {
	if err := b.Release(ctx, storage, r.ID(), lease.String()); err != nil {
		b.stray(r, lease)
		b.logger.Error("a lease that did not reach its reader could not be taken back; it is kept in memory to be tried again",
			"session_id", r.ID(), "error", err)
	}
}
