package ledger

import (
	"context"
)

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
