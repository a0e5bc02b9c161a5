package ledger

import (
	"context"
	"errors"
	"slices"
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

// Remove takes the session out of the ledger: its pages, its entry, and its index entries. After an error it can be
// repeated. If a write of the session may yet be carried out late, the index of its expiry stays, and leads to what that
// leaves.
func (h *Held) Remove(ctx context.Context) error {
	e := h.e
	e.mu.Lock()
	removing := make(chan struct{})
	e.removing = removing
	under := make([]chan struct{}, 0, len(e.calls))
	for _, c := range e.calls {
		under = append(under, c.done)
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.removing = nil
		close(removing)
	}()
	for _, done := range under {
		<-done // each ends within callLimit
	}
	e.mu.Lock()
	if e.unstored && !e.uncertain {
		e.forget()
		e.mu.Unlock()
		return nil
	}
	s := e.session
	keys := make([]string, 0, len(e.pages)+len(e.odd))
	for number, p := range e.pages {
		keys = append(keys, pageKey(e.id, number, p.n))
	}
	for _, name := range e.odd {
		keys = append(keys, leasePrefix+e.id+"/"+name)
	}
	e.mu.Unlock()
	err := each(keys, func(key string) error { return h.v.store.delete(ctx, key) })
	if err == nil {
		err = h.v.store.delete(ctx, h.entryKeys(s)...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.uncertain, e.unstored = true, true // any part of it may be left
		return err
	}
	e.forget()
	return nil
}

// entryKeys returns what is deleted besides the pages.
func (h *Held) entryKeys(s *Session) []string {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	keys := []string{sessionPrefix + s.ID()}
	if s.Owed || h.e.unstored || h.e.uncertain {
		keys = append(keys, pendingPrefix+s.ID())
	}
	if !h.e.uncertain {
		keys = append(keys, expiryKey(s.ID(), s.ExpiresAt))
	}
	return keys
}

// forget drops what is known of a session that the ledger does not hold any more.
func (e *entry) forget() {
	e.session, e.pages, e.odd, e.released = nil, nil, nil, nil
	e.held, e.changed = 0, 0
	e.ending, e.regardless, e.loggedOut, e.unstored, e.uncertain = false, false, false, false, false
	e.due = e.orphan != nil // Workfront has returned it again, and storage could not be read
	e.read = !e.due
}

// RemoveUnreadable deletes what is known of a session whose entry cannot be read: leases, entry, and index entries as
// far as its ID leads to them.
func (v View) RemoveUnreadable(ctx context.Context, id string) error {
	e := v.ref(id)
	defer v.unref(e)
	if err := e.takeTurn(ctx, nil); err != nil {
		return err
	}
	defer func() { <-e.turn }()
	if err := v.DropLeases(ctx, id); err != nil {
		return err
	}
	return v.store.delete(ctx, sessionPrefix+id, pendingPrefix+id)
}

// DropLeases deletes what is stored of leases on a session that the ledger does not hold: a write may have been carried
// out after its removal.
func (v View) DropLeases(ctx context.Context, id string) error {
	names, err := v.store.list(ctx, leasePrefix+id+"/")
	if err != nil {
		return err
	}
	return each(names, func(name string) error { return v.store.delete(ctx, leasePrefix+id+"/"+name) })
}

// Leases returns how many leases a session has in storage. It keeps none of them in memory. The error is a
// *DamagedError, a *NewerError or a failure of storage.
func (v View) Leases(ctx context.Context, s *Session) (int, error) {
	names, err := v.store.list(ctx, leasePrefix+s.ID()+"/")
	if err != nil {
		return 0, err
	}
	counts := make([]int, len(names))
	indexes := make([]int, len(names))
	for i := range indexes {
		indexes[i] = i
	}
	err = each(indexes, func(i int) (err error) {
		counts[i], err = v.leasesOn(ctx, s.ID(), names[i])
		return err
	})
	total := 0
	if !s.Lease.IsZero() {
		total++
	}
	for _, n := range counts {
		total += n
	}
	return total, err
}

func (v View) leasesOn(ctx context.Context, id, name string) (int, error) {
	number, n, ok := parsePageName(name)
	switch {
	case !ok:
		return 1, &DamagedError{leasePrefix + id + "/" + name, errPageBits}
	case n == 1:
		return 1, nil
	}
	left, err := v.store.readPage(ctx, id, number, n)
	if err != nil {
		return 1, err
	}
	return page{left: left}.leases(), nil
}

// each calls do for each item, several at a time, and returns the first error. It goes on with the others.
func each[T any](items []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(parallelCalls)
	for _, item := range items {
		group.Go(func() error { return do(item) })
	}
	return group.Wait()
}
