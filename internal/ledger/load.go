package ledger

import (
	"context"
	"slices"
)

// load reads the session if memory may be behind. Its caller has the turn.
func (v View) load(ctx context.Context, e *entry) error {
	e.mu.Lock()
	if e.read {
		e.mu.Unlock()
		return nil
	}
	e.loading, e.invalidated, e.touched = true, false, make(map[uint64]struct{})
	e.mu.Unlock()
	session, names, err := v.readSession(ctx, e.id)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loading = false
	if err != nil {
		if IsUnreadable(err) { // the owner of the entry deals with it
			e.released = nil
			e.merge(nil)
		}
	} else {
		e.read = !e.invalidated
		e.setLoaded(session, names)
	}
	e.touched = nil
	return err
}

// readSession returns what storage has of a session, nil if it is not there, and the names of the pages of its leases.
func (v View) readSession(ctx context.Context, id string) (s *Session, pages []string, err error) {
	if s, err = v.Get(ctx, id); s == nil {
		return nil, nil, err
	}
	if s.State == StateEnding {
		// Both say that it is owed: a late write of one alone does not end a session that was recorded again.
		entry, err := v.store.get(ctx, pendingPrefix+id)
		if err != nil {
			return nil, nil, err
		}
		s.Owed = entry != nil
	}
	pages, err = v.store.list(ctx, leasePrefix+id+"/")
	return s, pages, err
}

func (e *entry) setLoaded(s *Session, names []string) {
	e.merge(names)
	e.session = s
	orphan := e.orphan
	e.orphan = nil
	switch {
	case s == nil && orphan != nil:
		e.adopt(orphan)
		return
	case s == nil:
		e.ending, e.regardless, e.loggedOut, e.due, e.released = false, false, false, false, nil
		return
	}
	ending := s.State == StateEnding
	e.regardless = e.regardless || ending && s.Owed
	// A write that failed may have brought back what the end had replaced.
	e.ending = ending || e.regardless || e.ending && e.uncertain
	e.loggedOut = e.loggedOut && e.ending
	e.released = slices.DeleteFunc(e.released, func(number uint64) bool { return number != s.Lease.number })
}

// adopt takes over a session that is not in storage, to be ended. It has no lease, because no reader gets it.
func (e *entry) adopt(s *Session) {
	unleased := *s
	unleased.Lease = LeaseID{}
	e.session, e.unstored, e.ending, e.read, e.loggedOut = &unleased, true, true, true, false
}

// Adopt takes over a session that the ledger does not hold, to be ended: a trial's, or one that could not be recorded.
func (h *Held) Adopt(s *Session) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.adopt(s)
}

// Owe remembers that a session is to be ended if it has no lease, because storage failed before that was known: a later
// call of Unfinished returns it. s is the session as Workfront returned it if the ledger may not hold it, else nil.
func (l *Ledger) Owe(id string, s *Session) {
	e := l.ref(id)
	defer l.unref(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due = true
	if s != nil {
		e.orphan, e.read = s, false
	}
}

// Want undoes Owe: leases on the session will follow.
func (h *Held) Want() {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	h.e.due = false
}

// merge replaces the pages in memory by those that are listed, except where memory knows better: a page that a call is
// under way for, or was during the loading, and one with releases that storage does not know of.
func (e *entry) merge(names []string) {
	listed := make(map[uint64]uint8, len(names))
	e.odd = nil
	for _, name := range names {
		if number, n, ok := parsePageName(name); ok {
			listed[number] = n
		} else {
			e.odd = append(e.odd, name)
		}
	}
	for number, p := range e.pages {
		_, touched := e.touched[number]
		busy := touched || e.calls[number] != nil
		_, stored := listed[number]
		switch {
		case busy:
			delete(listed, number)
			e.setPage(number, p) // forgets one that was deleted
		case stored && p.cleared != 0:
			delete(listed, number)
			known := listedPage(p.n) // another node may have released others
			known.cleared = p.cleared
			e.setPage(number, known)
		default:
			e.setPage(number, page{})
		}
	}
	for number, n := range listed {
		e.setPage(number, listedPage(n))
	}
}
