package ledger

import (
	"context"
	"time"
)

// End says how a session is ended.
type End struct {
	// Regardless of its leases: by an operator's DELETE, past its expiry, or at the unloading of a tainted mount.
	Regardless bool
	// Owed: no revocation repeats it, so storage has to lead maintenance to it.
	Owed bool
	// Since is when its logout became pending; zero if it is not. One that is pending is owed.
	Since time.Time
	// Announced: operators are told that it is pending.
	Announced bool
}

// BeginEnd stores that the session is being logged out, before anything is sent; where storage says so already, an entry
// that carries no information is written instead. A leader that was frozen and replaced fails here. It does nothing, and
// began is false, if the session has a lease and does not end regardless, or if the ledger does not hold it. After an
// error the session is ending in memory, and whatever asked for its end repeats the call, or maintenance does.
func (h *Held) BeginEnd(ctx context.Context, how End) (began bool, err error) {
	e := h.e
	e.mu.Lock()
	if e.session == nil || e.leased() && !e.regardless && !how.Regardless {
		e.mu.Unlock()
		return false, nil
	}
	e.ending, e.due = true, false
	if e.endBegins != nil {
		close(e.endBegins)
		e.endBegins = nil
	}
	how.Regardless = how.Regardless || e.regardless
	e.regardless = how.Regardless
	known, unstored, loggedOut := e.session, e.unstored, e.loggedOut
	e.mu.Unlock()
	if unstored || loggedOut {
		return true, nil
	}
	ended := known.asEnding(how, h.ownLeft())
	if *ended == *known && !h.uncertain() {
		err = h.v.ProveWritable(ctx)
	} else {
		err = h.write(ctx, known, ended)
	}
	return err == nil, err
}

// SetPending stores that the logout of a session that is ending is owed, and pending, at the latest since then; and it
// stores the releases of its leases. announced: operators are told of it.
func (h *Held) SetPending(ctx context.Context, since time.Time, announced bool) error {
	e := h.e
	e.mu.Lock()
	known, unstored := e.session, e.unstored
	e.mu.Unlock()
	pending := known.asEnding(End{Since: since, Announced: announced}, h.ownLeft())
	if unstored {
		pending.Lease = LeaseID{}
		known = nil
	}
	if err := h.write(ctx, known, pending); err != nil {
		return err
	}
	return h.v.flush(ctx, e)
}

// SetGone stores that Workfront does not know an active session any more. The caller ends it if no lease is left.
func (h *Held) SetGone(ctx context.Context) error {
	known := h.Session()
	gone := *known
	gone.State, gone.Lease = StateGone, h.ownLeft()
	return h.write(ctx, known, &gone)
}

// Finish stores the releases that memory knows of. It is for a session that has a lease, or none of whose ends is due.
func (h *Held) Finish(ctx context.Context) error {
	h.Want()
	if err := h.storeOwn(ctx); err != nil {
		return err
	}
	return h.v.flush(ctx, h.e)
}

// storeReleased stores the release of the lease that the session was recorded with, if it has others: without them, its
// end does that.
func (h *Held) storeReleased(ctx context.Context) error {
	if !h.Leased() {
		return nil
	}
	return h.storeOwn(ctx)
}

// storeOwn is storeReleased, whether or not the session has other leases.
func (h *Held) storeOwn(ctx context.Context) error {
	e := h.e
	e.mu.Lock()
	known := e.session
	due := known != nil && !e.unstored && e.ownReleased()
	e.mu.Unlock()
	if !due {
		return nil
	}
	left := *known
	left.Lease = LeaseID{}
	return h.write(ctx, known, &left)
}

// SetLoggedOut notes that Workfront has confirmed the logout: what is left is to remove the session.
func (h *Held) SetLoggedOut() {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.loggedOut = true
}

// LoggedOut reports whether Workfront has confirmed the logout.
func (h *Held) LoggedOut() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.loggedOut
}
