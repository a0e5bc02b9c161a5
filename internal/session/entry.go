package session

import (
	"context"
	"strings"
)

// entry is what memory knows of a session. Two kinds of calls work on one:
//
//   - Taking a lease on a living session, and giving one back that is not the last. Any number of them go on at a time:
//     they change the set of leases under Broker.mu, and write to storage afterwards.
//   - All else (loading, recording, ending, parking) has the session to itself, from hold to letGo. It begins when the
//     calls of the first kind have finished, so that storage and the set of leases agree.
type entry struct {
	id     string
	loaded bool     // record and leases are as in storage
	record *Record  // nil if the ledger does not hold the session; replaced, never changed
	leases leaseSet // on the session
	shared bool     // it is the current session of a pool
	stale  bool     // storage may say otherwise by now
	// leaving says that the session is being logged out, or that this was tried and its outcome is not in storage:
	// it must not be handed out.
	leaving bool

	busy     int           // calls of the first kind in progress
	held     chan struct{} // not nil while a call has the session to itself; closed when it is done
	finished chan struct{} // not nil while the holder waits for busy to become 0; closed then
}

// hold gives the caller the session of that ID to itself, loaded from storage, until it calls letGo.
func (b *Broker) hold(ctx context.Context, l ledger, id string) (*entry, error) {
	e, err := b.take(ctx, id)
	if err != nil {
		return nil, err
	}
	if b.isCurrent(e) {
		return e, nil
	}
	if err := b.reload(ctx, l, e); err != nil {
		b.letGo(e)
		return nil, err
	}
	return e, nil
}

// isCurrent tells whether what memory knows of a session is as in storage.
func (b *Broker) isCurrent(e *entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return e.loaded && !e.stale
}

// reload reads a session anew. The caller holds it.
func (b *Broker) reload(ctx context.Context, l ledger, e *entry) error {
	b.mu.Lock()
	e.loaded, e.stale = false, false
	b.mu.Unlock()
	record, err := l.get(ctx, e.id)
	if err != nil {
		return err
	}
	leases := make(leaseSet)
	if record != nil {
		if leases, err = l.leases(ctx, record); err != nil {
			return err
		}
	}
	e.record, e.leases, e.loaded = record, leases, true
	return nil
}

func (b *Broker) take(ctx context.Context, id string) (*entry, error) {
	for {
		b.mu.Lock()
		e := b.sessions[id]
		if e == nil {
			e = &entry{id: id}
			b.sessions[id] = e
		}
		var wait chan struct{}
		if wait = e.held; wait == nil {
			e.held = make(chan struct{})
			if e.busy == 0 {
				b.mu.Unlock()
				return e, nil
			}
			e.finished = make(chan struct{})
			finished := e.finished
			b.mu.Unlock()
			select {
			case <-finished:
				return e, nil
			case <-ctx.Done():
				b.letGo(e)
				return nil, ctx.Err()
			}
		}
		b.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// setLeaving says whether the session may not be handed out any more. The caller holds it.
func (b *Broker) setLeaving(e *entry, leaving bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.leaving = leaving
}

// isLeaving tells whether the session of that ID may not be handed out any more.
func (b *Broker) isLeaving(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.sessions[id]
	return e != nil && e.leaving
}

// letGo ends what hold began.
func (b *Broker) letGo(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(e.held)
	e.held, e.finished = nil, nil
	b.dropLocked(e)
}

// failed makes the next call load the session anew, because storage may hold anything after a fault.
func (e *entry) failed() { e.loaded = false }

// dropLocked takes an entry out of memory if nothing is gained by keeping it.
func (b *Broker) dropLocked(e *entry) {
	if e.held != nil || e.busy > 0 || b.sessions[e.id] != e {
		return
	}
	gone := e.loaded && !e.stale && e.record == nil
	if e.leaving && !gone {
		return
	}
	if !e.loaded || e.stale || e.record == nil || len(e.leases) <= 1 && !e.shared {
		delete(b.sessions, e.id)
	}
}

// beginQuick begins a call of the first kind, if the session can take one now. b.mu is held.
func (e *entry) beginQuick() bool {
	if e == nil || e.held != nil || !e.loaded || e.stale || e.leaving || e.record == nil || e.record.State != StateActive {
		return false
	}
	e.busy++
	return true
}

// endQuick ends a call of the first kind. b.mu is held.
func (b *Broker) endQuick(e *entry) {
	e.busy--
	if e.busy == 0 && e.finished != nil {
		close(e.finished)
		e.finished = nil
	}
	b.dropLocked(e)
}

// attach puts a lease on a session that memory holds as living, and that good accepts, and returns its Record. If it returns
// none, nothing was done, and the caller has to hold the session. With an error, the lease may have been written.
func (b *Broker) attach(ctx context.Context, l ledger, id string, lease leaseID, good func(*Record) bool) (*Record, error) {
	b.mu.Lock()
	e := b.sessions[id]
	if !e.beginQuick() {
		b.mu.Unlock()
		return nil, nil
	}
	record := e.record
	if !good(record) {
		b.endQuick(e)
		b.mu.Unlock()
		return nil, nil
	}
	e.leases[lease] = struct{}{}
	b.mu.Unlock()

	err := l.addLease(ctx, id, lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endQuick(e)
	if err != nil {
		e.stale = true // storage may have written it all the same
	}
	return record, err
}

// detach takes a lease off a session that memory holds as living, if others remain. The lease may be gone already: Vault
// repeats revocations. It tells whether it did; if not, and without an error, the caller has to hold the session.
func (b *Broker) detach(ctx context.Context, l ledger, id string, lease leaseID) (bool, error) {
	b.mu.Lock()
	e := b.sessions[id]
	if !e.beginQuick() {
		b.mu.Unlock()
		return false, nil
	}
	_, on := e.leases[lease]
	if len(e.leases) == 0 || on && len(e.leases) == 1 || lease == e.record.Lease {
		b.endQuick(e)
		b.mu.Unlock()
		return false, nil
	}
	delete(e.leases, lease)
	b.mu.Unlock()

	err := l.removeLease(ctx, id, lease)

	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.endQuick(e)
	if err != nil {
		e.stale = true
		return false, err
	}
	return true, nil
}

func firstSegment(s string) string {
	first, _, _ := strings.Cut(s, "/")
	return first
}
