// Package ledger keeps the sessions that a mount has started, and their leases: in memory, in storage, and in the
// order of all writes.
//
// In storage:
//
//	session/<id>          the Session, with the lease that it was recorded with
//	lease/<id>/<page>     further leases, up to 64 in a page; see LeaseID
//	expiry/<bucket>/<id>  an index: the session expires within that span of time
//	pending/<id>          an index: the logout of the session is owed, regardless of its leases
//	shared/<share>        a hint: the session that readers share there; it may be gone
//	trust/<SHA-256>       CA certificates that sessions pin; never removed
//	maintenance           says nothing; it is written to prove that storage can be written
//
// Two ideas carry the package.
//
// A lease is a bit of a page, and a page only loses bits. Leases that arrive while a new page is being written go into
// the next one. A page is written once with all of its leases, and never gets another. So a write that storage carries
// out late can bring a released lease back (then the session lives until it expires), but never lose one.
//
// Storage says what is owed; memory only remembers it. A release clears a bit of what is wanted, and whichever call
// writes the page makes what is stored equal to it. What failed is simply still different, for the next writer or for
// maintenance, and repeating anything is safe.
//
// An index entry is written before the Session that it leads to, and removed after it, so a crash never leaves a
// Session that cannot be found. An index entry that leads nowhere is dropped when it is met.
package ledger

import (
	"context"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

const (
	sessionPrefix = "session/"
	leasePrefix   = "lease/"
	expiryPrefix  = "expiry/"
	pendingPrefix = "pending/"
	sharedPrefix  = "shared/"
	// probeKey is written to prove that storage can be written.
	probeKey = "maintenance"
)

// Ledger is the ledger of one mount. It is safe for concurrent use.
//
// Locks are taken in this order: Ledger.mu, entry.mu; never two of a kind, and none is held during a call to storage.
type Ledger struct {
	mu      sync.Mutex
	entries map[string]*entry // by session ID: those that a call works on, and those worth remembering
}

// New returns a Ledger that remembers nothing yet.
func New() *Ledger { return &Ledger{entries: make(map[string]*entry)} }

// View is a Ledger with the storage that it is kept in, which the SDK provides for each request.
type View struct {
	*Ledger
	store store
}

// In returns the ledger's view of storage.
func (l *Ledger) In(storage logical.Storage) View { return View{l, store{storage}} }

// Storage returns where the ledger is kept.
func (v View) Storage() logical.Storage { return v.store.storage }

// Get returns the session of that ID as storage has it, or nil if it is not there. The error is a *DamagedError, a
// *NewerError or a failure of storage.
func (v View) Get(ctx context.Context, id string) (*Session, error) {
	return read[Session](ctx, v.store, sessionPrefix+id)
}

// IDs returns the IDs of all sessions, in no particular order. It reads none of them.
func (v View) IDs(ctx context.Context) ([]string, error) { return v.store.list(ctx, sessionPrefix) }

// ProveWritable writes an entry that says nothing. Without an error, this node could write to storage just now.
func (v View) ProveWritable(ctx context.Context) error { return v.store.mark(ctx, probeKey) }

// Invalidate drops what memory holds of a storage entry that another node has written.
func (l *Ledger) Invalidate(key string) {
	id := idOf(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[id]; e != nil {
		e.setUnread()
		l.dropLocked(e)
	}
}

// idOf returns the ID of the session that a storage key belongs to, or "".
func idOf(key string) string {
	for _, prefix := range []string{sessionPrefix, leasePrefix} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			id, _, _ := strings.Cut(rest, "/")
			return id
		}
	}
	return ""
}

// Keep keeps what memory knows of a session there until Drop is called as often.
func (l *Ledger) Keep(id string) { l.ref(id) }

// Drop undoes one call of Keep.
func (l *Ledger) Drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[id]; e != nil {
		l.unrefLocked(e)
	}
}

// ref returns the entry of a session, and keeps it in memory until unref.
func (l *Ledger) ref(id string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		e = newEntry(id)
		l.entries[id] = e
	}
	e.refs++
	return e
}

// refKnown is ref for a session that memory knows; it returns nil for any other.
func (l *Ledger) refKnown(id string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e != nil {
		e.refs++
	}
	return e
}

func (l *Ledger) unref(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unrefLocked(e)
}

func (l *Ledger) unrefLocked(e *entry) {
	e.refs--
	l.dropLocked(e)
}

// dropLocked takes an entry out of memory if nothing is gained by keeping it.
func (l *Ledger) dropLocked(e *entry) {
	if e.refs == 0 && l.entries[e.id] == e && !e.worthKeeping() {
		delete(l.entries, e.id)
	}
}

// Unfinished returns the IDs of the sessions that memory knows work is left on and that no call holds: leases whose
// release is not stored, and ends that storage does not know to be owed.
func (l *Ledger) Unfinished() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, e := range l.entries {
		if e.unfinished() && len(e.turn) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Unstored returns the sessions that are known in memory alone, because storage failed: by ID, with their expiry.
func (l *Ledger) Unstored() []*Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sessions []*Session
	for _, e := range l.entries {
		if s := e.unstoredSession(); s != nil {
			sessions = append(sessions, s)
		}
	}
	return sessions
}

// Len returns how many sessions memory holds.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Peek returns the session as memory has it, nil if it knows that it must not be issued; read is false if memory may be
// behind storage.
func (l *Ledger) Peek(id string) (s *Session, read bool) {
	e := l.refKnown(id)
	if e == nil {
		return nil, false
	}
	defer l.unref(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending {
		return nil, e.read
	}
	return e.session, e.read
}

// IsEnding reports whether memory knows that a session is being logged out.
func (l *Ledger) IsEnding(id string) bool {
	e := l.refKnown(id)
	if e == nil {
		return false
	}
	defer l.unref(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ending
}

// Busy returns how many calls work on a session, wait for it, or keep it in memory, and how many leases on it wait to be
// added or released with the next write.
func (l *Ledger) Busy(id string) (calls, queued int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		return 0, 0
	}
	return e.refs, e.queued()
}
