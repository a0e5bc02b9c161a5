package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

// retryRefresh is how long after one attempt to replace a session the next one is made, at the earliest.
const retryRefresh = 5 * time.Second

// pool is what memory knows of the readers that share a session. All of it can be found again through storage.
type pool struct {
	current   shared // what is handed out; empty if that is not known
	flight    *flight
	triedAt   time.Time // when the last flight in the background began
	checkedAt time.Time // when the current session was last known to live
}

// flight is one attempt to find or start a session for all who wait for it.
type flight struct {
	done       chan struct{}
	err        error // after done
	source     Source
	waiting    int  // readers
	background bool // begun for readers to come
}

func (b *Broker) poolLocked(share string) *pool {
	p := b.pools[share]
	if p == nil {
		p = &pool{}
		b.pools[share] = p
	}
	return p
}

// share returns a lease on the current session of src.Share.
func (b *Broker) share(ctx context.Context, l ledger, src Source) (*Lease, error) {
	for {
		lease, err := b.join(ctx, l, src)
		if lease != nil || err != nil {
			return lease, err
		}
		if err := b.await(ctx, l, src); err != nil {
			return nil, err
		}
	}
}

// join takes a lease on the current session, if memory knows a good one. It never waits for Workfront.
func (b *Broker) join(ctx context.Context, l ledger, src Source) (*Lease, error) {
	b.mu.Lock()
	p := b.poolLocked(src.Share)
	id := p.current.SessionID
	known := id != "" && p.current.Source == src.Fingerprint
	b.mu.Unlock()
	if !known {
		return nil, nil
	}
	lease := newLeaseID()
	// Whether the lease was written must be known, so the call is not cut off with its reader.
	outliving := context.WithoutCancel(ctx)
	record, err := b.attach(outliving, l, id, lease, b.usable)
	if record == nil {
		return nil, nil
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil || !b.usable(record) { // storage may have taken its time
		b.takeBack(outliving, l.storage, record, lease)
		return nil, err
	}
	b.look(outliving, l, src, record)
	return newLease(lease, record, record.ExpiresAt), nil
}

// usable tells whether a session may be handed out.
func (b *Broker) usable(r *Record) bool {
	return r.State == StateActive && r.left(b.now()) >= MinLife
}

// look begins what is due for the current session, in the background.
func (b *Broker) look(ctx context.Context, l ledger, src Source, r *Record) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.poolLocked(src.Share)
	if r.fading(now) && p.flight == nil && now.Sub(p.triedAt) >= retryRefresh {
		p.triedAt = now                          // whatever comes of it: it may bring the same session back
		_ = b.departLocked(ctx, l, src, p, true) // the next reader tries again
	}
	if now.Sub(p.checkedAt) >= checkEvery && b.beginLocked() == nil {
		p.checkedAt = now
		go func() {
			defer b.inFlight.Done()
			b.check(ctx, l, src, r)
		}()
	}
}

// await waits for the flight that finds or starts a session, and begins it if there is none.
func (b *Broker) await(ctx context.Context, l ledger, src Source) error {
	b.mu.Lock()
	p := b.poolLocked(src.Share)
	if p.flight == nil {
		if err := b.departLocked(context.WithoutCancel(ctx), l, src, p, false); err != nil {
			b.mu.Unlock()
			return err
		}
	}
	f := p.flight
	f.waiting++
	b.mu.Unlock()
	select {
	case <-f.done:
		if f.source.Fingerprint != src.Fingerprint || f.source.ClientSecret != src.ClientSecret {
			return nil // it failed, or not, for settings that were changed since
		}
		return f.err
	case <-ctx.Done():
		b.mu.Lock()
		f.waiting--
		b.mu.Unlock()
		return ctx.Err()
	}
}

// departLocked begins a flight. b.mu is held.
func (b *Broker) departLocked(ctx context.Context, l ledger, src Source, p *pool, background bool) error {
	if err := b.beginLocked(); err != nil {
		return err
	}
	f := &flight{done: make(chan struct{}), source: src, background: background}
	p.flight = f
	go func() {
		defer b.inFlight.Done()
		replaced, err := b.fly(ctx, l, src, f)
		b.mu.Lock()
		p.flight = nil
		b.mu.Unlock()
		if err != nil && background {
			b.logger.Warn("no replacement for a shared session yet; the old one is handed out as long as it lives", "role", src.Role, "error", err)
		}
		f.err = err
		close(f.done)
		for _, id := range replaced { // no reader waits for their logouts
			if err := b.retire(ctx, l, id); err != nil {
				b.logger.Warn("a replaced session could not be ended; it stays until its end", "session_id", id, "error", err)
			}
		}
	}()
	return nil
}

// fly makes a session current: the one that storage knows, which a process before this one may have started, or else a
// new one. Then it returns the IDs of those that were replaced: what memory handed out need not be what storage names, if that
// took a hint and reported a failure.
func (b *Broker) fly(ctx context.Context, l ledger, src Source, f *flight) (replaced []string, err error) {
	previous, err := l.current(ctx, src.Share)
	if err != nil {
		return nil, err
	}
	if previous.SessionID != "" && previous.Source == src.Fingerprint && !f.background {
		if found, err := b.adopt(ctx, l, src.Share, previous); found || err != nil {
			return nil, err
		}
	}
	handedOut := b.handedOut(src.Share)
	var id string
	err = b.untilLiving(ctx, src.RequestTimeout, func() bool { return b.wanted(src.Share, f) }, func(began int) error {
		fresh, err := b.exchange(ctx, src)
		if err != nil {
			return err
		}
		id = fresh.ID()
		e, err := b.hold(ctx, l, id)
		if err != nil {
			b.stray(fresh, leaseID{})
			return err
		}
		defer b.letGo(e)
		return b.install(ctx, l, src, e, fresh, f, began)
	})
	if err != nil {
		return nil, err
	}
	replaced = distinct(previous.SessionID, handedOut)
	return slices.DeleteFunc(replaced, func(old string) bool { return old == id }), nil
}

// handedOut returns the ID of the session that memory has as the current one.
func (b *Broker) handedOut(share string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pools[share]; p != nil {
		return p.current.SessionID
	}
	return ""
}

// adopt makes the session current that storage names, if it fits.
func (b *Broker) adopt(ctx context.Context, l ledger, share string, previous shared) (bool, error) {
	if b.isLeaving(previous.SessionID) {
		return false, nil // without waiting for its logout
	}
	e, err := b.hold(ctx, l, previous.SessionID)
	if err != nil {
		return false, err
	}
	defer b.letGo(e)
	if e.record == nil || e.leaving || !b.usable(e.record) {
		return false, nil
	}
	b.makeCurrent(share, e, previous, time.Time{}) // unchecked by this process
	return true, nil
}

// install enters a new session into the ledger and makes it current. If it cannot, or if all who waited have left, it ends
// the session.
func (b *Broker) install(ctx context.Context, l ledger, src Source, e *entry, fresh *Record, f *flight, began int) error {
	record, err := b.enterHeld(ctx, l, e, fresh, began)
	if err != nil {
		return err
	}
	if err := b.longEnough(record.ExpiresAt); err != nil {
		return errors.Join(err, b.endUnleased(ctx, l, e))
	}
	current := shared{SessionID: e.id, Source: src.Fingerprint}
	if err := l.setCurrent(ctx, src.Share, current); err != nil {
		return errors.Join(err, b.endUnleased(ctx, l, e))
	}
	if !b.wanted(src.Share, f) {
		return b.endUnleased(ctx, l, e)
	}
	b.makeCurrent(src.Share, e, current, b.now())
	return nil
}

// wanted tells whether somebody waits for what a flight brings, or will come for it: nobody comes for what was retired.
func (b *Broker) wanted(share string, f *flight) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pools[share]
	return f.waiting > 0 || f.background && p != nil && p.flight == f
}

// makeCurrent has memory hand out the session that the caller holds.
func (b *Broker) makeCurrent(share string, e *entry, current shared, checkedAt time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.poolLocked(share)
	if old := b.sessions[p.current.SessionID]; old != nil && old != e {
		old.shared = false
		b.dropLocked(old)
	}
	if p.current.SessionID != current.SessionID || checkedAt.After(p.checkedAt) {
		p.checkedAt = checkedAt
	}
	p.current = current
	e.shared = true
}
