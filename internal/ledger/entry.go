package ledger

import (
	"math/bits"
	"slices"
	"sync"
)

// entry is what memory knows of one session: its Session and its leases, as storage has them and as they are wanted.
//
// Any number of calls add leases to it and release leases at a time. A call that holds it (see Held) is the only one
// that reads it from storage and that writes session/<id>; it has the turn.
type entry struct {
	id   string
	refs int           // calls that work on it or wait for it, and calls of Keep; guarded by Ledger.mu
	turn chan struct{} // holds one while a call holds the session

	mu sync.Mutex // guards what follows; never held during a call to storage
	// read: what follows is what storage has, apart from what memory says is wanted beyond it.
	read bool
	// session is nil if the ledger does not hold it. It is replaced, never changed.
	session *Session
	// unstored: session is not known to be in storage, because recording it failed.
	unstored bool
	// ending: it is being logged out, or that was begun, whatever storage says. It gets no further leases.
	ending bool
	// regardless: it ends regardless of its leases.
	regardless bool
	// loggedOut: Workfront has confirmed the logout; what is left is to remove it.
	loggedOut bool
	// due: it is to be ended if it has no lease. Storage does not say so, because it failed.
	due bool
	// orphan is a session that Workfront returned while storage could not be read: whether the ledger holds it, and for
	// which leases, is known when it is read.
	orphan *Session
	// uncertain: a write may be carried out late, so the index of its expiry has to lead to what that leaves.
	uncertain bool

	released []uint64        // own leases that were released, as long as storage may have them
	pages    map[uint64]page // by number; nil if there are none
	odd      []string        // names below lease/<id>/ that are not those of pages: they count as leases
	held     int             // pages that hold a lease
	changed  int             // pages that have to be written
	calls    map[uint64]*call
	batch    *batch        // a new page that others can still join
	latest   chan struct{} // closed when the newest page has been written
	// endBegins is closed when an end of the session begins; nil if no call waits for that.
	endBegins chan struct{}
	removing  chan struct{} // closed when the removal that is under way is over; nil if there is none

	loading     bool
	invalidated bool                // during the loading
	touched     map[uint64]struct{} // pages that were written during the loading: memory knows them better than the list
}

func newEntry(id string) *entry { return &entry{id: id, turn: make(chan struct{}, 1)} }

func (e *entry) setUnread() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.invalidated = true
	if !e.unstored {
		e.read = false
	}
}

// setPage replaces what is known of a page; one with no lease in storage is forgotten.
func (e *entry) setPage(number uint64, p page) {
	e.count(e.pages[number], -1)
	if p.left == 0 && !p.damaged && !e.loading {
		delete(e.pages, number)
		return
	}
	if e.pages == nil {
		e.pages = make(map[uint64]page)
	}
	e.pages[number] = p
	e.count(p, +1)
}

func (e *entry) count(p page, by int) {
	if p.holds() {
		e.held += by
	}
	if p.cleared != 0 {
		e.changed += by
	}
}

// hasOwn reports whether the lease that the session was recorded with is held.
func (e *entry) hasOwn() bool {
	return e.session != nil && !e.session.Lease.IsZero() && !e.ownReleased()
}

// ownReleased reports whether that lease was released, and storage has it.
func (e *entry) ownReleased() bool {
	if e.session == nil || e.session.Lease.IsZero() {
		return false
	}
	return slices.Contains(e.released, e.session.Lease.number)
}

// leased reports whether the session has a lease, as far as is known.
func (e *entry) leased() bool { return e.hasOwn() || e.held > 0 || len(e.odd) > 0 }

// attachable reports whether the session can get another lease.
func (e *entry) attachable() bool {
	return e.read && e.session != nil && !e.ending && e.session.State == StateActive && e.removing == nil
}

// owedInStorage reports whether storage says that the logout is owed.
func (e *entry) owedInStorage() bool {
	return !e.unstored && !e.uncertain && e.session.State == StateEnding && e.session.Owed
}

func (e *entry) unfinished() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unfinishedLocked()
}

func (e *entry) unfinishedLocked() bool {
	if e.due || e.changed > 0 || e.ownReleased() || !e.read && len(e.released) > 0 {
		return true
	}
	return e.session != nil && (e.loggedOut || (e.ending || e.regardless) && !e.owedInStorage())
}

// worthKeeping reports whether memory has to keep the session, or gains by it: a session with several leases would have
// to be read anew for each of their releases.
func (e *entry) worthKeeping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.unfinishedLocked() || e.uncertain && e.session != nil:
		return true
	case !e.read || e.session == nil || e.ending:
		return false
	case e.held > 1:
		return true
	}
	leases := 0
	if e.hasOwn() {
		leases++
	}
	if e.held > 0 { // one page; others hold nothing and are changed
		for _, p := range e.pages {
			leases += p.leases()
		}
	}
	return leases > 1
}

func (e *entry) unstoredSession() *Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unstored && !e.loggedOut {
		return e.session
	}
	return e.orphan
}

// queued returns how many leases wait to be added or released with the next write.
func (e *entry) queued() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	if e.batch != nil {
		n = int(e.batch.n)
	}
	for number, c := range e.calls {
		if c.clears != 0 {
			n += bits.OnesCount64(e.pages[number].cleared &^ c.clears)
		}
	}
	return n
}
