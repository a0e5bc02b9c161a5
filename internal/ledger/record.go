package ledger

import (
	"context"
	"time"
)

// Record stores a session that Workfront has returned: a new one, or the one that is held, with what has changed. It is
// active from then on, whatever it was. After an error a new session is ending, and storage may or may not have it; one
// that was known is as it was, or read anew by the next call.
func (h *Held) Record(ctx context.Context, s *Session) error {
	e := h.e
	e.mu.Lock()
	known, unstored := e.session, e.unstored
	e.mu.Unlock()
	active := *s
	active.Version, active.State, active.Owed, active.PendingSince = version, StateActive, false, time.Time{}
	stored := known
	if unstored {
		stored = nil
	}
	switch {
	case stored != nil:
		active.Lease = h.ownLeft()
	case h.uncertain(): // a late write could take this lease back; it never takes back one on a page
		active.Lease = LeaseID{}
	}
	err := h.write(ctx, stored, &active)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.ending, e.regardless, e.loggedOut, e.due = false, false, false, false
	case stored == nil:
		e.adopt(&active)
	case !e.ending:
		e.read = false
	}
	return err
}

// uncertain reports whether storage may differ from what memory has of the session.
func (h *Held) uncertain() bool {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.e.uncertain
}

// ownLeft returns the lease that the session was recorded with, zero if it is released.
func (h *Held) ownLeft() LeaseID {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if !h.e.hasOwn() {
		return LeaseID{}
	}
	return h.e.session.Lease
}

// write stores the session in the place of known, which may be nil: index entries first. Without an error, memory has
// it, too.
func (h *Held) write(ctx context.Context, known, s *Session) error {
	err := h.writeIndexed(ctx, known, s)
	e := h.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.uncertain = true
		return err
	}
	e.session, e.unstored = s, false
	if s.Lease.IsZero() {
		e.released = nil
	}
	return nil
}

func (h *Held) writeIndexed(ctx context.Context, known, s *Session) error {
	certain := !h.uncertain()
	for _, key := range s.indexKeys() {
		if !certain || !known.indexed(key) {
			if err := h.v.store.mark(ctx, key); err != nil {
				return err
			}
		}
	}
	if known != nil && *known == *s && certain {
		return nil
	}
	if err := h.v.store.write(ctx, sessionPrefix+h.e.id, s); err != nil {
		return err
	}
	if !certain && s.State != StateEnding { // else a late write of an end would end s under its leases
		if err := h.v.store.delete(ctx, pendingPrefix+h.e.id); err != nil {
			return err
		}
	}
	if known == nil {
		return nil
	}
	for _, key := range known.indexKeys() {
		if !s.indexed(key) && (certain || key == pendingPrefix+h.e.id) {
			_ = h.drop(ctx, key)
		}
	}
	return nil
}

// drop deletes an index entry that leads nowhere. If that fails, it is dropped when it is met, and may be carried out
// after it was written again.
func (h *Held) drop(ctx context.Context, key string) error {
	err := h.v.store.delete(ctx, key)
	if err != nil {
		h.e.mu.Lock()
		defer h.e.mu.Unlock()
		h.e.uncertain = true
	}
	return err
}

// DropPending deletes an entry of the index of pending logouts that leads nowhere.
func (h *Held) DropPending(ctx context.Context) error { return h.drop(ctx, pendingPrefix+h.e.id) }
