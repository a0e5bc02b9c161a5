package ledger

import (
	"context"
	"slices"
)

// Detached says what became of a released lease.
type Detached int

const (
	// DetachedStored says that it is out of storage, and the session has others.
	DetachedStored Detached = iota
	// DetachedLast says that no lease is left. The caller holds the session and ends it; the lease is in storage until then.
	DetachedLast
	// DetachedMissing says that the ledger does not hold the session.
	DetachedMissing
)

// call is one call to storage for a page, or the wait of a new page for its turn.
type call struct {
	clears uint64 // what it takes off the page
	done   chan struct{}
	err    error // after done
}

// begin returns a call that takes those bits off a page; the caller enters it into calls.
func (e *entry) begin(clears uint64) *call {
	if e.calls == nil {
		e.calls = make(map[uint64]*call)
	}
	return &call{clears: clears, done: make(chan struct{})}
}

// finish ends a call for a page, which is p from now on.
func (e *entry) finish(number uint64, c *call, p page, err error) {
	if e.loading {
		e.touched[number] = struct{}{}
	}
	e.setPage(number, p)
	delete(e.calls, number)
	c.err = err
	close(c.done)
}

// Detach releases a lease. Nothing of it is forgotten: whatever fails is done by a repetition, by the next release on
// the same page, or by maintenance. It may be repeated, and the lease may be gone already. The error is a failure of
// storage, that of an unreadable entry, a *TimeoutError, or the cancellation of ctx.
func (v View) Detach(ctx context.Context, id string, lease LeaseID) (Detached, error) {
	e := v.ref(id)
	defer v.unref(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		e.clear(lease) // anew: an entry that could not be read in between was forgotten
		var err error
		switch {
		case e.removing != nil:
			err = e.waitUnlocked(ctx, e.removing)
		case !e.read:
			err = v.holdUnlocked(ctx, e, nil)
		case e.session == nil:
			return DetachedMissing, nil
		case !e.leased():
			return DetachedLast, nil
		case lease.isOwn():
			if e.session.Lease != lease || e.unstored {
				return DetachedStored, nil
			}
			err = v.holdUnlocked(ctx, e, (*Held).storeReleased)
		default:
			p := e.pages[lease.number]
			switch {
			case p.damaged:
				return DetachedStored, &DamagedError{pageKey(id, lease.number, lease.n), errPageBits}
			case p.cleared == 0 && e.calls[lease.number] == nil:
				return DetachedStored, nil
			}
			err = v.settle(ctx, e, lease.number, lease.mask())
		}
		if err != nil {
			return DetachedStored, err
		}
	}
}

// clear notes that a lease is released, before anything else happens.
func (e *entry) clear(lease LeaseID) {
	if lease.isOwn() {
		if (!e.read || e.session != nil && e.session.Lease == lease) && !slices.Contains(e.released, lease.number) {
			e.released = append(e.released, lease.number)
		}
		return
	}
	p, known := e.pages[lease.number]
	if !known {
		if e.read {
			return // released before
		}
		p = listedPage(lease.n)
	}
	if p.damaged {
		return // it stays as it is
	}
	p.cleared |= lease.mask() & p.left
	e.setPage(lease.number, p)
}

// waitUnlocked waits until done is closed. e.mu is held before and after.
func (e *entry) waitUnlocked(ctx context.Context, done <-chan struct{}) error {
	e.mu.Unlock()
	defer e.mu.Lock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// holdUnlocked calls do, which may be nil, while it holds the session. e.mu is held before and after.
func (v View) holdUnlocked(ctx context.Context, e *entry, do func(h *Held, ctx context.Context) error) error {
	e.mu.Unlock()
	defer e.mu.Lock()
	h, err := v.Hold(ctx, e.id)
	if err != nil {
		return err
	}
	defer h.Release()
	if do == nil {
		return nil
	}
	return do(h, ctx)
}

// settle makes one call to bring what is stored of a page closer to what is wanted: it reads the page if it is unread,
// and else writes it. If a call for the page is under way, it waits for that instead. It returns an error only if that
// call was to take one of bits off the page. e.mu is held before and after.
func (v View) settle(ctx context.Context, e *entry, number uint64, bits uint64) error {
	if c := e.calls[number]; c != nil {
		covered := c.clears&bits != 0
		if err := e.waitUnlocked(ctx, c.done); err != nil {
			return err
		}
		if covered {
			return c.err
		}
		return nil
	}
	p := e.pages[number]
	if p.damaged || p.cleared == 0 {
		return nil
	}
	c := e.begin(p.cleared)
	e.calls[number] = c
	unread, left := p.unread, p.wanted()
	e.mu.Unlock()
	err := errCutOff
	defer func() {
		e.mu.Lock()
		p := e.pages[number]
		switch {
		case unread && IsDamaged(err):
			p.damaged, p.cleared = true, 0
		case unread && IsUnreadable(err):
			p.cleared &^= c.clears // a newer build's: Vault repeats the revocations until that is installed again
		case unread && err == nil:
			p.unread, p.left = false, left
			p.cleared &= left
		case !unread && err == nil:
			p.left &^= c.clears
			p.cleared &^= c.clears
		case !unread:
			e.uncertain = true
		}
		e.finish(number, c, p, err)
	}()
	if unread {
		left, err = v.store.readPage(ctx, e.id, number, p.n)
	} else {
		err = v.store.writePage(ctx, e.id, number, p.n, left)
	}
	if IsDamaged(err) {
		return nil // noted; the release of a lease on it returns it
	}
	return err
}

// flush stores every release that memory knows of a session, several at a time, as far as storage lets it.
func (v View) flush(ctx context.Context, e *entry) error {
	e.mu.Lock()
	var changed []uint64
	for number, p := range e.pages {
		if p.cleared != 0 && !p.damaged {
			changed = append(changed, number)
		}
	}
	e.mu.Unlock()
	return each(changed, func(number uint64) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		for e.pages[number].cleared != 0 && !e.pages[number].damaged {
			if err := v.settle(ctx, e, number, ^uint64(0)); err != nil {
				return err
			}
		}
		return nil
	})
}
