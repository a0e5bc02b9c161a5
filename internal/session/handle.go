package session

import (
	"context"

	"golang.org/x/sync/semaphore"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// handle is what memory knows of one session. Two kinds of calls work on one:
//
//   - Those that use it add a lease to a live session, or remove one that is not the last. Any number of them go on at a
//     time.
//   - A call that holds it has it to itself, from hold to letGo: loading, recording, ending. It begins when those that use
//     the session have finished, so that ledger and memory agree; while it waits or works, nobody else begins to use it.
type handle struct {
	id  string
	sem *semaphore.Weighted // a user has 1, a holder everyone

	// Replaced by a holder alone, with setHeld, under Broker.mu. Users change what is in leases.
	session *ledger.Session // nil if the ledger does not hold it; never changed
	leases  *leaseSet

	// Guarded by Broker.mu.
	refs   int    // calls that hold, use or wait for it, and shares whose current session it is
	stale  bool   // session and leases must be read anew: storage may say otherwise
	ending ending // not ending, or not to be issued any more
	// endBegan is closed when the end begins; nil if nobody has asked.
	endBegan chan struct{}
	owed     owed
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
	// endingRegardless: regardless of its leases, whose revocations are done once they are removed from storage.
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
	leases := newLeaseSet()
	if err == nil && session != nil {
		leases, err = readLeases(ctx, l, session)
	}
	if err != nil {
		b.setStale(h)
		return err
	}
	if damage := leases.damage(); damage != nil {
		b.logger.Error("some leases of a session cannot be read, so its last one does not log it out: it is logged out when it expires, "+
			"or by `vault delete` of this mount's sessions/<session_id>", "session_id", h.id, "error", damage)
	}
	b.setHeld(h, session, leases)
	return nil
}

// setHeld replaces what a holder knows of a session.
func (b *Broker) setHeld(h *handle, session *ledger.Session, leases *leaseSet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.session, h.leases = session, leases
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
	if e != notEnding && h.endBegan != nil {
		close(h.endBegan)
		h.endBegan = nil
	}
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

// endsRegardless tells whether a call is ending the session of that ID regardless of its leases, and this one has an entry of
// its own: then its revocation need not wait for that call.
func (b *Broker) endsRegardless(id string, lease ledger.LeaseID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	return h != nil && h.ending == endingRegardless && h.refs > 0 && !h.leases.inPage(lease)
}

// ref returns the handle of a session, and keeps it in memory until unrefLocked.
func (b *Broker) ref(id string) *handle {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	if h == nil {
		h = &handle{id: id, sem: semaphore.NewWeighted(everyone), leases: newLeaseSet(), stale: true}
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
	if h.stale || h.leases.len() <= 1 {
		delete(b.handles, h.id)
	}
}

// useLocked begins a call that uses the session, if it can take one now. A session that is gone is only used to release its
// leases. It is ended by endUseLocked.
func (b *Broker) useLocked(h *handle) bool {
	return h != nil && h.sem.TryAcquire(1) && b.usesLocked(h)
}

// usesLocked is useLocked for a caller that has its turn of sem already; if the session cannot be used, that is given back.
func (b *Broker) usesLocked(h *handle) bool {
	if h.stale || h.ending != notEnding || h.session == nil || h.session.State == ledger.StateLogoutPending {
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

// attach adds a lease to a session that memory knows as active, if good accepts it, and returns the session. If it returns
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
	if session.State != ledger.StateActive || !good(session) {
		b.endUseLocked(h)
		b.mu.Unlock()
		return nil, nil
	}
	b.mu.Unlock()

	return session, b.attachUsed(ctx, l, h, session, lease)
}

// attachUsed is attach for a caller that uses the session; that is over then.
func (b *Broker) attachUsed(
	ctx context.Context, l ledger.Ledger, h *handle, session *ledger.Session, lease ledger.LeaseID,
) error {
	err := h.leases.add(ctx, l, session, lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endUseLocked(h)
	if err != nil {
		h.stale = true // storage may have taken it all the same
	}
	return err
}

// attachInTurn is attach for a session that could not be used at once: after those who hold it, and once it was read anew if
// memory may be behind. It waits for storage at most, and gives a session up whose end has begun.
func (b *Broker) attachInTurn(
	ctx context.Context, p *patience, l ledger.Ledger, id string, lease ledger.LeaseID,
) (*ledger.Session, error) {
	h := b.ref(id)
	defer b.unref(h)
	waiting, stop := b.untilEnding(p.begin(), h)
	defer stop()
	for {
		session, stale, err := b.useInTurn(waiting, h)
		if session != nil {
			return session, b.attachUsed(ctx, l, h, session, lease)
		}
		if stale {
			if err = b.reread(waiting, l, id); err == nil {
				continue
			}
		}
		switch {
		case err == nil, isUnreadable(err):
			return nil, nil // it is not issued any more
		case p.begin().Err() != nil:
			return nil, waitedInVain(p.ctx)
		case waiting.Err() != nil:
			return nil, nil // its end has begun
		}
		return nil, err
	}
}

// reread reads a session from the ledger if memory may be behind.
func (b *Broker) reread(ctx context.Context, l ledger.Ledger, id string) error {
	h, err := b.hold(ctx, l, id)
	if err != nil {
		return err
	}
	b.letGo(h)
	return nil
}

// useInTurn begins a call that uses the session, if it may be issued, after those who hold it. Without a session it did not; stale
// says that memory may be behind. The error is that of ctx.
func (b *Broker) useInTurn(ctx context.Context, h *handle) (session *ledger.Session, stale bool, err error) {
	if err := h.sem.Acquire(ctx, 1); err != nil {
		return nil, false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.stale && h.ending == notEnding {
		h.sem.Release(1)
		return nil, true, nil
	}
	if !b.usesLocked(h) {
		return nil, false, nil
	}
	if !b.issuable(h.session) {
		b.endUseLocked(h)
		return nil, false, nil
	}
	return h.session, false, nil
}

// untilEnding returns a context that is cancelled when the end of the session begins, as well as with ctx.
func (b *Broker) untilEnding(ctx context.Context, h *handle) (context.Context, context.CancelFunc) {
	waiting, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.ending != notEnding {
		cancel()
		return waiting, cancel
	}
	if h.endBegan == nil {
		h.endBegan = make(chan struct{})
	}
	began := h.endBegan
	go func() {
		select {
		case <-began:
			cancel()
		case <-waiting.Done():
		}
	}()
	return waiting, cancel
}

// detach removes a lease from a session that memory knows as active or gone, if others remain. The lease may be gone already: Vault
// repeats revocations. It tells whether it did; if not, and without an error, the caller has to hold the session.
func (b *Broker) detach(ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID) (bool, error) {
	b.mu.Lock()
	h := b.handles[id]
	used := b.useLocked(h)
	b.mu.Unlock()
	if !used {
		return false, nil
	}
	return b.detachUsed(ctx, l, h, lease)
}

// detachInTurn is detach, after those who hold the session, or wait for that.
func (b *Broker) detachInTurn(ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID) (bool, error) {
	h := b.ref(id)
	defer b.unref(h)
	if err := h.sem.Acquire(ctx, 1); err != nil {
		return false, err
	}
	b.mu.Lock()
	used := b.usesLocked(h)
	b.mu.Unlock()
	if !used {
		return false, nil
	}
	return b.detachUsed(ctx, l, h, lease)
}

// detachUsed is detach for a caller that uses the session; that is over then.
func (b *Broker) detachUsed(ctx context.Context, l ledger.Ledger, h *handle, lease ledger.LeaseID) (bool, error) {
	done, err := h.leases.removeOther(ctx, l, h.id, lease, h.session.Lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endUseLocked(h)
	if err != nil {
		h.stale = true
	}
	return done, err
}
