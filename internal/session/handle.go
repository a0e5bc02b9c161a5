package session

import (
	"context"

	"golang.org/x/sync/semaphore"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// handle is what memory knows of one session. Two kinds of calls work on one:
//
//   - Those that use it add a lease to a live session, or remove one that is not the last. Any number of them go on at a
//     time: they change the set of leases under Broker.mu, and write to the ledger afterwards.
//   - A call that holds it has it to itself, from hold to letGo: loading, recording, ending. It begins when those that use
//     the session have finished, so that ledger and memory agree; while it waits or works, nobody else begins to use it.
type handle struct {
	id  string
	sem *semaphore.Weighted // a user has 1, a holder everyone

	// Changed by a holder alone, but the members of leases by users, under Broker.mu.
	session *ledger.Session // nil if the ledger does not hold it; replaced, never changed
	leases  ledger.LeaseSet

	// Guarded by Broker.mu.
	refs   int    // calls that hold, use or wait for it, and shares whose current session it is
	stale  bool   // session and leases must be read anew: storage may say otherwise
	ending ending // not ending, or not to be issued any more
	owed   owed
}

// everyone is more users than there can be.
const everyone = 1 << 40

// ending says whether a session is being logged out, or that this was tried and its outcome is not in the ledger. Such a
// session is not issued, and nobody waits for its end.
type ending int

const (
	notEnding ending = iota
	// endingUnleased: because no lease is left, or to be ended regardless of its leases, which storage does not know yet.
	// Revocations wait for what becomes of it.
	endingUnleased
	// endingRegardless: regardless of its leases, whose revocations are done once their entries are deleted.
	endingRegardless
)

// hold gives the caller the session of that ID to itself, as the ledger has it, until it calls letGo.
func (b *Broker) hold(ctx context.Context, l ledger.Ledger, id string) (*handle, error) {
	h := b.ref(id)
	if err := h.sem.Acquire(ctx, everyone); err != nil {
		b.unref(h)
		return nil, err
	}
	if err := b.load(ctx, l, h); err != nil {
		b.letGo(h)
		return nil, err
	}
	return h, nil
}

// letGo ends what hold began.
func (b *Broker) letGo(h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.sem.Release(everyone)
	b.unrefLocked(h)
}

// load reads a session from the ledger if memory may be behind. The caller holds it.
func (b *Broker) load(ctx context.Context, l ledger.Ledger, h *handle) error {
	b.mu.Lock()
	stale := h.stale
	h.stale = false // an Invalidate during the reading makes it stale again
	b.mu.Unlock()
	if !stale {
		return nil
	}
	session, err := l.Get(ctx, h.id)
	leases := make(ledger.LeaseSet)
	if err == nil && session != nil {
		leases, err = l.Leases(ctx, session)
	}
	if err != nil {
		b.setStale(h)
		return err
	}
	h.session, h.leases = session, leases
	return nil
}

// setStale has the next holder read the session anew, because storage may hold anything after a fault.
func (b *Broker) setStale(h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.stale = true
}

func (b *Broker) setEnding(h *handle, e ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.ending = e
}

// endingOf returns how the session of that ID is being ended.
func (b *Broker) endingOf(id string) ending {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.handles[id]; h != nil {
		return h.ending
	}
	return notEnding
}

// endsRegardless tells whether a call is ending the session of that ID regardless of its leases.
func (b *Broker) endsRegardless(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	return h != nil && h.ending == endingRegardless && h.refs > 0
}

// ref returns the handle of a session, and keeps it in memory until unrefLocked.
func (b *Broker) ref(id string) *handle {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	if h == nil {
		h = &handle{id: id, sem: semaphore.NewWeighted(everyone), stale: true}
		b.handles[id] = h
	}
	h.refs++
	return h
}

func (b *Broker) unref(h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unrefLocked(h)
}

func (b *Broker) unrefLocked(h *handle) {
	h.refs--
	b.dropLocked(h)
}

// dropLocked takes a handle out of memory if nothing is gained by keeping it.
func (b *Broker) dropLocked(h *handle) {
	if h.refs > 0 || b.handles[h.id] != h || h.owed.any() {
		return
	}
	gone := !h.stale && h.session == nil
	if h.ending != notEnding && !gone {
		return
	}
	if h.stale || len(h.leases) <= 1 {
		delete(b.handles, h.id)
	}
}

// useLocked begins a call that uses the session, if it can take one now. It is ended by endUseLocked.
func (b *Broker) useLocked(h *handle) bool {
	if h == nil || h.stale || h.ending != notEnding || !h.sem.TryAcquire(1) {
		return false
	}
	if h.session == nil || h.session.State != ledger.StateActive {
		h.sem.Release(1)
		return false
	}
	h.refs++
	return true
}

func (b *Broker) endUseLocked(h *handle) {
	h.sem.Release(1)
	b.unrefLocked(h)
}

// attach adds a lease to a session that memory knows as live, if good accepts it, and returns the session. If it returns
// none and no error, nothing was done. After an error the lease may have been stored.
func (b *Broker) attach(
	ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID, good func(*ledger.Session) bool,
) (*ledger.Session, error) {
	b.mu.Lock()
	h := b.handles[id]
	if !b.useLocked(h) {
		b.mu.Unlock()
		return nil, nil
	}
	session := h.session
	if !good(session) {
		b.endUseLocked(h)
		b.mu.Unlock()
		return nil, nil
	}
	h.leases[lease] = struct{}{}
	b.mu.Unlock()

	err := l.AddLease(ctx, id, lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endUseLocked(h)
	if err != nil {
		h.stale = true // storage may have taken it all the same
	}
	return session, err
}

// detach removes a lease from a session that memory knows as live, if others remain. The lease may be gone already: Vault
// repeats revocations. It tells whether it did; if not, and without an error, the caller has to hold the session.
func (b *Broker) detach(ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID) (bool, error) {
	b.mu.Lock()
	h := b.handles[id]
	if !b.useLocked(h) {
		b.mu.Unlock()
		return false, nil
	}
	_, on := h.leases[lease]
	if len(h.leases) == 0 || on && len(h.leases) == 1 || lease == h.session.Lease {
		b.endUseLocked(h)
		b.mu.Unlock()
		return false, nil
	}
	delete(h.leases, lease)
	b.mu.Unlock()

	err := l.RemoveLease(ctx, id, lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endUseLocked(h)
	if err != nil {
		h.stale = true
		return false, err
	}
	return true, nil
}
