package session

import (
	"context"
	"maps"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// owed is the work on a session that storage does not know of: leases to release that nobody has, and a session to end that
// nobody leases. It is what remains when storage fails while that is done, and is kept in memory until storage answers.
type owed struct {
	session *ledger.Session // as Workfront returned it, if the ledger may not hold it
	leases  map[ledger.LeaseID]struct{}
	end     bool
}

func (o *owed) any() bool { return o.end || len(o.leases) > 0 }

// owe has maintenance release a lease, or, if that is zero, end a session that nobody leases.
func (b *Broker) owe(s *ledger.Session, lease ledger.LeaseID) {
	h := b.ref(s.ID())
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.unrefLocked(h)
	h.owed.session = s
	if lease.IsZero() {
		h.owed.end = true
		return
	}
	if h.owed.leases == nil {
		h.owed.leases = make(map[ledger.LeaseID]struct{})
	}
	h.owed.leases[lease] = struct{}{}
}

// oweEnd has maintenance end a session that the ledger holds, if nobody leases it then.
func (b *Broker) oweEnd(id string) {
	h := b.ref(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.unrefLocked(h)
	h.owed.end = true
}

// owing returns the sessions that work is owed on, by ID; nil for one that only the ledger knows.
func (b *Broker) owing() map[string]*ledger.Session {
	var sessions map[string]*ledger.Session
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, h := range b.handles {
		if h.owed.any() {
			if sessions == nil {
				sessions = make(map[string]*ledger.Session)
			}
			sessions[id] = h.owed.session
		}
	}
	return sessions
}

// unsettled returns the IDs of the sessions that Maintain has to look at without being told by storage: those that work is
// owed on, and those whose end was begun, and its outcome did not get into the ledger.
func (b *Broker) unsettled() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, h := range b.handles {
		if h.owed.any() || h.ending != notEnding && h.refs == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle does the work that is owed on a session. The caller holds it. What was done is owed no more, even if the rest
// fails.
func (b *Broker) settle(ctx context.Context, l ledger.Ledger, h *handle) error {
	b.mu.Lock()
	work := owed{session: h.owed.session, leases: maps.Clone(h.owed.leases), end: h.owed.end}
	b.mu.Unlock()
	for lease := range work.leases {
		if err := b.settleLease(ctx, l, h, work.session, lease); err != nil {
			return err
		}
		b.mu.Lock()
		delete(h.owed.leases, lease)
		b.mu.Unlock()
	}
	if work.end {
		if err := b.settleEnd(ctx, l, h, work.session); err != nil {
			return err
		}
		b.mu.Lock()
		h.owed.end = false
		b.mu.Unlock()
	}
	return b.settleEnding(ctx, l, h)
}

func (b *Broker) settleLease(
	ctx context.Context, l ledger.Ledger, h *handle, s *ledger.Session, lease ledger.LeaseID,
) error {
	if h.session != nil {
		return b.releaseHeld(ctx, l, h, lease)
	}
	if err := l.RemoveLease(ctx, h.id, lease); err != nil { // an interrupted removal may have left it
		return err
	}
	return b.settleEnd(ctx, l, h, s)
}

// settleEnd ends a session that nobody leases, whether or not the ledger holds it.
func (b *Broker) settleEnd(ctx context.Context, l ledger.Ledger, h *handle, s *ledger.Session) error {
	if h.session != nil {
		if h.leases.len() > 0 || h.session.State == ledger.StateLogoutPending {
			return nil
		}
		return b.endHeld(ctx, l, h, endingUnleased, b.tryLogout)
	}
	if s == nil {
		return nil // ended meanwhile
	}
	_, _, err := b.end(ctx, l, h, s, attempt{how: endingUnleased, logout: b.tryLogout, owed: true})
	return err
}

// settleEnding goes on with an end that was begun. One that a revocation began is left to its repetition.
func (b *Broker) settleEnding(ctx context.Context, l ledger.Ledger, h *handle) error {
	switch how := b.endingOf(h.id); {
	case h.session == nil:
		b.setEnding(h, notEnding)
	case how == endingRegardless:
		return b.endHeld(ctx, l, h, how, b.tryLogout)
	}
	return nil
}
