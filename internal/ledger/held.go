package ledger

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// turnLimit is how long a call waits for others that hold the session: a logout and the writes around it.
	turnLimit = 3 * callLimit
	// parallelCalls is how many pages of one session are read, written or deleted at a time.
	parallelCalls = 16
)

// Held is a session that one call has to itself, from Hold to Release: to record it, to end it, or to remove it.
// Leases are added and released at the same time, as long as it is not ending.
type Held struct {
	v View
	e *entry
}

// Hold gives the caller the session of that ID to itself, as the ledger has it, until Release. The error is a failure
// of storage, that of an unreadable entry, a *TimeoutError, or the cancellation of ctx.
func (v View) Hold(ctx context.Context, id string) (*Held, error) {
	e := v.ref(id)
	if err := e.takeTurn(ctx, nil); err != nil {
		v.unref(e)
		return nil, err
	}
	h := &Held{v, e}
	if err := v.load(ctx, e); err != nil {
		h.Release()
		return nil, err
	}
	return h, nil
}

// Reread reads a session from storage if memory may be behind, after those that hold it. It gives up, and live is false,
// when the session is being ended, without waiting for that.
func (v View) Reread(ctx context.Context, id string) (live bool, err error) {
	e := v.ref(id)
	e.mu.Lock()
	ending := e.ending
	if e.endBegins == nil {
		e.endBegins = make(chan struct{})
	}
	endBegins := e.endBegins
	e.mu.Unlock()
	if ending {
		v.unref(e)
		return false, nil
	}
	if err := e.takeTurn(ctx, endBegins); err != nil {
		v.unref(e)
		if errors.Is(err, errEnding) {
			err = nil
		}
		return false, err
	}
	h := &Held{v, e}
	defer h.Release()
	if err := v.load(ctx, e); err != nil {
		return false, err
	}
	return !h.Ending(), nil
}

// Release ends what Hold began.
func (h *Held) Release() {
	<-h.e.turn
	h.v.unref(h.e)
}

// errEnding says that a session began to be ended while a call waited for it.
var errEnding = errors.New("the session is being ended")

// takeTurn waits for the turn, until ctx ends, or giveUp, which may be nil, is closed.
func (e *entry) takeTurn(ctx context.Context, giveUp <-chan struct{}) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	default:
	}
	limit := time.NewTimer(turnLimit)
	defer limit.Stop()
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-giveUp:
		return errEnding
	case <-limit.C:
		return &TimeoutError{"another call that works on session " + e.id}
	}
}

// ID returns the name of the session.
func (h *Held) ID() string { return h.e.id }

// Session returns the session, or nil if the ledger does not hold it. It is not to be changed.
func (h *Held) Session() *Session {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.session
}

// Stored returns the session as storage has it, or nil if it is not known to be there.
func (h *Held) Stored() *Session {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if h.e.unstored {
		return nil
	}
	return h.e.session
}

// Leased reports whether the session has a lease.
func (h *Held) Leased() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.leased()
}

// Ending reports whether the session is being logged out, or that was begun.
func (h *Held) Ending() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.ending
}

// Regardless reports whether the session ends regardless of its leases.
func (h *Held) Regardless() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.regardless
}

// OwedInStorage reports whether storage is known to say that the logout is owed.
func (h *Held) OwedInStorage() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.session != nil && h.e.owedInStorage()
}

// Unfinished reports whether releases, or an end, are left to be stored.
func (h *Held) Unfinished() bool { return h.e.unfinished() }

// each calls do for each item, several at a time, and returns the first error. It goes on with the others.
func each[T any](items []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(parallelCalls)
	for _, item := range items {
		group.Go(func() error { return do(item) })
	}
	return group.Wait()
}
