package ledger

import (
	"context"
	"errors"
	"time"
)

// slowWrite is how long a new page waits for the one before it. If that takes longer, it is written beside it: one call
// that storage has lost must not stop the other readers.
const slowWrite = 500 * time.Millisecond

// ErrMoved says that a lease was stored, but that its session can no longer be issued: it was ended, or is to be read
// anew. The caller releases the lease and starts over.
var ErrMoved = errors.New("the session was changed while a lease on it was stored; try again")

// errCutOff is what the others of a batch get if the goroutine that writes it ends.
var errCutOff = errors.New("the write was cut off")

// batch is a new page.
type batch struct {
	number uint64
	n      uint8         // leases on it; it grows until the batch is sealed
	after  chan struct{} // of the page before it; nil if there is none
	call   *call
}

// Attach adds a lease to a session that memory knows as active, if good accepts it, and returns the session. If it
// returns no session, nothing was done. After an error the lease may have been stored: the caller releases it, and ends
// the session if it was the last. Attach waits for one write, which it shares with those who arrive in the meantime.
func (v View) Attach(ctx context.Context, id string, good func(*Session) bool) (*Session, LeaseID, error) {
	e := v.refKnown(id)
	if e == nil {
		return nil, LeaseID{}, nil
	}
	defer v.unref(e)
	e.mu.Lock()
	s := e.session
	if !e.attachable() || !good(s) {
		e.mu.Unlock()
		return nil, LeaseID{}, nil
	}
	b, bit, first := e.join()
	e.mu.Unlock()
	if first {
		v.writeBatch(ctx, e, b)
	} else {
		<-b.call.done
	}
	lease := LeaseID{number: b.number, n: b.n, bit: bit}
	if b.call.err != nil {
		return s, lease, b.call.err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.attachable() || e.pages[b.number].wanted()&lease.mask() == 0 {
		return s, lease, ErrMoved
	}
	return e.session, lease, nil
}

// join takes a bit of the page that is next to be written. The first one of a page writes it.
func (e *entry) join() (b *batch, bit uint8, first bool) {
	b = e.batch
	if first = b == nil || b.n == pageMax; first {
		b = &batch{number: newNumber(), after: e.latest, call: e.begin(0)}
		e.calls[b.number] = b.call
		e.batch, e.latest = b, b.call.done
	}
	bit = b.n
	b.n++
	e.setPage(b.number, page{left: allOf(b.n), n: b.n})
	return b, bit, first
}

func (v View) writeBatch(ctx context.Context, e *entry, b *batch) {
	err := errCutOff
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		p := e.pages[b.number]
		if err != nil {
			p.cleared = p.left // no reader gets these leases, but storage may have taken them
			e.uncertain = true
		}
		e.finish(b.number, b.call, p, err)
	}()
	b.await()
	e.mu.Lock()
	if e.batch == b {
		e.batch = nil
	}
	e.mu.Unlock()
	err = v.store.writePage(ctx, e.id, b.number, b.n, allOf(b.n))
}

// await waits for the page before this one, as long as that is not slow.
func (b *batch) await() {
	if b.after == nil {
		return
	}
	select {
	case <-b.after:
		return
	default:
	}
	waited := time.NewTimer(slowWrite)
	defer waited.Stop()
	select {
	case <-b.after:
	case <-waited.C:
	}
}
