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
	if outdated || isCancelled(r.err) || errors.Is(r.err, errLoggedOut) {
		return nil // it was for settings that were changed since, for readers who have left, or for a share that was ended
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
	issued := b.currentID(s.name)
	if hint.SessionID != "" && hint.Fingerprint == r.fingerprint && r.origin == forReaders {
		switch found, err := b.adopt(ctx, l, s, r, hint); {
		case err != nil:
			return nil, err
		case found:
			return others(hint.SessionID, issued), nil
		}
	}
	var id string
	var current bool
	wanted := func() bool { return b.wanted(s, r) }
	err = b.untilLive(permit, wanted, func(began *logoutMark) error {
		started, err := b.exchange(ctx, permit, l, r.src, func() { b.setSent(r) })
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
		current, err = b.install(ctx, l, s, r, h, started, began)
		return err
	})
	if err != nil || !current {
		return nil, err
	}
	return others(id, hint.SessionID, issued), nil
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

// wanted tells whether what a refresh brings will be issued: not if the share was ended meanwhile. Readers who wait for it
// nevertheless begin another one, which knows of the share as it is then.
func (b *Broker) wanted(s *share, r *refresh) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wantedLocked(s, r)
}

func (b *Broker) wantedLocked(s *share, r *refresh) bool {
	return b.shares[s.name] == s && s.refresh == r
}

// adopt makes the session current that storage names, if it is good.
func (b *Broker) adopt(ctx context.Context, l ledger.Ledger, s *share, r *refresh, hint ledger.Shared) (bool, error) {
	if b.endingOf(hint.SessionID) != notEnding {
		return false, nil // without waiting for its logout
	}
	h, err := b.hold(ctx, l, hint.SessionID)
	if isUnreadable(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer b.letGo(h)
	if h.session == nil || b.endingOf(h.id) != notEnding || !b.issuable(h.session) {
		return false, nil
	}
	return b.makeCurrent(s, r, h, time.Time{}), nil // unchecked by this process
}

// install records a new session and makes it current. If it cannot, or nobody will come for it, it ends the session. The
// caller holds it.
func (b *Broker) install(
	ctx context.Context, l ledger.Ledger, s *share, r *refresh, h *handle, started *ledger.Session, began *logoutMark,
) (current bool, err error) {
	recorded, err := b.recordHeld(ctx, l, h, started, began)
	if err != nil {
		return false, err
	}
	if err = longEnough(recorded.Left(b.now())); err == nil {
		current, err = b.publish(ctx, l, s, r, h)
	}
	if !current {
		err = errors.Join(err, b.endUnleased(ctx, l, h))
	}
	return current, err
}

// makeCurrent has memory issue the session that the caller holds, unless its share was ended meanwhile.
func (b *Broker) makeCurrent(s *share, r *refresh, h *handle, checkedAt time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.wantedLocked(s, r) {
		return false
	}
	if s.current != h || checkedAt.After(s.checkedAt) {
		s.checkedAt = checkedAt
	}
	b.setCurrentLocked(s, h, r.fingerprint)
	h.owed.end = false // it has readers to come
	return true
}

// endReplaced ends a session that was replaced, if no one leases it. Else it ends with its last lease. After an error,
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

// others returns each of the IDs once, without kept and those that are empty.
func others(kept string, ids ...string) []string {
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" || id == kept })
}
