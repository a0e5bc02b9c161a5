package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// refreshEvery is how long after one attempt to replace a session in the background the next one is made, at the earliest.
const refreshEvery = 5 * time.Second

// refresh is one attempt to find or start a session for all who wait for it, and for those to come. Broker.mu guards what
// changes.
type refresh struct {
	src         Source
	fingerprint string
	origin      origin
	cancel      context.CancelFunc // nothing is sent afterwards
	over        <-chan struct{}    // closed when nothing is sent any more
	waiting     int                // readers
	sent        bool               // an exchange is under way at Workfront, or was

	done chan struct{}
	err  error // after done
}

// origin says what a refresh was begun for.
type origin int

const (
	forReaders   origin = iota // who wait; without them it ends, as long as nothing was sent
	inBackground               // to replace a session before readers have to wait
)

// awaitRefresh waits for the refresh of a share, and begins it if there is none. It returns its failure, or nil when the
// reader is to look again. patience is ctx with the time that the reader waits; it never waits for longer.
func (b *Broker) awaitRefresh(
	ctx, patience context.Context, l ledger.Ledger, src Source, fingerprint string,
) error {
	if patience.Err() != nil {
		return waitedInVain(ctx)
	}
	b.mu.Lock()
	s := b.shareLocked(shareName(src.Role))
	if s.refresh == nil {
		if err := b.startRefreshLocked(context.WithoutCancel(ctx), l, src, fingerprint, s, forReaders); err != nil {
			b.mu.Unlock()
			return err
		}
	}
	r := s.refresh
	r.waiting++
	b.mu.Unlock()
	select {
	case <-r.done:
	case <-patience.Done():
		return b.leave(ctx, s, r)
	}
	outdated := r.fingerprint != fingerprint || r.src.ClientSecret != src.ClientSecret
	if outdated || isCancelled(r.err) {
		return nil // it was for settings that were changed since, or for readers who have left
	}
	return r.err
}

// waitedInVain is for a reader who has left, or whose time is up before anything was sent.
func waitedInVain(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return &workfront.BusyError{
		Reason: "no request was sent to Workfront within request_timeout, because calls or storage were too slow; try again",
	}
}

// leave ends a reader's wait, and returns why. A refresh that was sent goes on.
func (b *Broker) leave(ctx context.Context, s *share, r *refresh) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.waiting--
	if r.waiting == 0 && r.origin == forReaders && !r.sent {
		r.cancel()
		if s.refresh == r {
			s.refresh = nil // the next reader begins another
		}
	}
	if r.sent && ctx.Err() == nil {
		return errNoAnswer()
	}
	return waitedInVain(ctx)
}

// startRefreshLocked begins a refresh. Broker.mu is held.
func (b *Broker) startRefreshLocked(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint string, s *share, o origin,
) error {
	if err := b.beginLocked(); err != nil {
		return err
	}
	permit, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	r := &refresh{src: src, fingerprint: fingerprint, origin: o, cancel: cancel, over: permit.Done(), done: make(chan struct{})}
	s.refresh = r
	go func() {
		defer b.inFlight.Done()
		defer cancel()
		replaced, err := b.runRefresh(ctx, permit, l, s, r)
		b.mu.Lock()
		if s.refresh == r {
			s.refresh = nil
		}
		b.mu.Unlock()
		if err != nil && o == inBackground {
			b.noteRefreshFailed(src.Role, err)
		}
		r.err = err
		close(r.done)
		for _, id := range replaced { // no reader waits for their logouts
			if err := b.endReplaced(ctx, l, id); err != nil {
				b.logger.Warn("failed to end a replaced session; will retry", "session_id", id, "error", err)
			}
		}
	}()
	return nil
}

// runRefresh makes a session current: the one that storage names, which a process before this one may have started, or else
// a new one. It returns the IDs of those that were replaced: what memory issued need not be what storage names, if that took
// a hint and reported a failure.
func (b *Broker) runRefresh(
	ctx, permit context.Context, l ledger.Ledger, s *share, r *refresh,
) (replaced []string, err error) {
	hint, err := b.hint(ctx, l, s.name)
	if err != nil {
		return nil, err
	}
	if hint.SessionID != "" && hint.Fingerprint == r.fingerprint && r.origin == forReaders {
		if before, found, err := b.adopt(ctx, l, s.name, hint); found || err != nil {
			return before, err
		}
	}
	replaced = append(replaced, hint.SessionID, b.currentID(s.name))
	var id string
	wanted := func() bool { return b.wanted(s, r) }
	err = b.untilLive(permit, wanted, func(began *logoutMark) error {
		started, err := b.exchange(permit, r.src, func() { b.setSent(r) })
		if err != nil {
			return err
		}
		id = started.ID()
		h, err := b.hold(ctx, l, id)
		if err != nil {
			b.owe(started, ledger.LeaseID{})
			return err
		}
		defer b.letGo(h)
		before, err := b.install(ctx, l, s, r, h, started, began)
		replaced = append(replaced, before...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(distinct(replaced...), func(old string) bool { return old == id }), nil
}

// hint returns what storage names as the current session of a share. It is only a hint: one that cannot be read is dropped.
func (b *Broker) hint(ctx context.Context, l ledger.Ledger, name string) (ledger.Shared, error) {
	hint, err := l.Shared(ctx, name)
	if isUnreadable(err) {
		b.logger.Warn("dropping an unreadable hint at a shared session", "error", err)
		return ledger.Shared{}, l.DeleteShared(ctx, name)
	}
	return hint, err
}

func (b *Broker) currentID(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.shares[name]; s != nil && s.current != nil {
		return s.current.id
	}
	return ""
}

func (b *Broker) setSent(r *refresh) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.sent = true
}

// wanted tells whether somebody waits for what a refresh brings, or may come for it: nobody comes for what is not shared any
// more.
func (b *Broker) wanted(s *share, r *refresh) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.waiting > 0 || b.shares[s.name] == s && s.refresh == r
}

// adopt makes the session current that storage names, if it is good.
func (b *Broker) adopt(
	ctx context.Context, l ledger.Ledger, name string, hint ledger.Shared,
) (before []string, found bool, err error) {
	if b.endingOf(hint.SessionID) != notEnding {
		return nil, false, nil // without waiting for its logout
	}
	h, err := b.hold(ctx, l, hint.SessionID)
	if isUnreadable(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer b.letGo(h)
	if h.session == nil || b.endingOf(h.id) != notEnding || !b.issuable(h.session) {
		return nil, false, nil
	}
	return b.makeCurrent(name, h, hint.Fingerprint, time.Time{}), true, nil // unchecked by this process
}

// install records a new session and makes it current. If it cannot, or nobody will come for it, it ends the session. The
// caller holds it.
func (b *Broker) install(
	ctx context.Context, l ledger.Ledger, s *share, r *refresh, h *handle, started *ledger.Session, began *logoutMark,
) (before []string, err error) {
	recorded, err := b.recordHeld(ctx, l, h, started, began)
	if err != nil {
		return nil, err
	}
	if err := longEnough(recorded.Left(b.now())); err != nil {
		return nil, errors.Join(err, b.endUnleased(ctx, l, h))
	}
	if err := l.SetShared(ctx, s.name, ledger.Shared{SessionID: h.id, Fingerprint: r.fingerprint}); err != nil {
		return nil, errors.Join(err, b.endUnleased(ctx, l, h))
	}
	if !b.wanted(s, r) {
		return nil, b.endUnleased(ctx, l, h)
	}
	return b.makeCurrent(s.name, h, r.fingerprint, b.now()), nil
}

// makeCurrent has memory issue the session that the caller holds, and returns the ID of the one that was current before, if
// any: two refreshes may be under way after the end of sharing, and neither knows of the other's session.
func (b *Broker) makeCurrent(name string, h *handle, fingerprint string, checkedAt time.Time) (before []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shareLocked(name)
	if s.current != h || checkedAt.After(s.checkedAt) {
		s.checkedAt = checkedAt
	}
	if s.current != nil && s.current != h {
		before = []string{s.current.id}
	}
	b.setCurrentLocked(s, h, fingerprint)
	h.owed.end = false // it has readers to come
	return before
}

// endReplaced ends a session that was replaced, if no one leases it. Else its last lease ends it. After an error,
// maintenance tries again: nothing in storage leads to the session any more, but the index of its expiry.
func (b *Broker) endReplaced(ctx context.Context, l ledger.Ledger, id string) error {
	h, err := b.hold(ctx, l, id)
	if isUnreadable(err) {
		return nil // its owner deals with it
	}
	if err != nil {
		b.oweEnd(id)
		return err
	}
	defer b.letGo(h)
	return b.endUnleased(ctx, l, h)
}

// distinct returns each of the IDs once, without those that are empty.
func distinct(ids ...string) []string {
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}
