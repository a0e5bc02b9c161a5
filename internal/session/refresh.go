package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// refreshEvery is how long after one attempt to replace a session in the background the next one is made, at the
// earliest.
const refreshEvery = 5 * time.Second

// refresh is one attempt to find or start a session for all who wait for it, and for those to come. share.mu guards what
// changes.
type refresh struct {
	src         Source
	fingerprint string
	purpose     purpose
	cancel      context.CancelFunc // nothing is sent afterwards
	over        <-chan struct{}    // closed when nothing is sent any more
	waiting     int                // readers
	sent        bool               // an exchange is under way at Workfront, or was

	done chan struct{}
	err  error // after done
}

// purpose says what a refresh was begun for.
type purpose int

const (
	forReaders  purpose = iota // who wait; without them it ends, as long as nothing was sent
	forNoReader                // to replace a session before readers have to wait
)

// awaitRefresh waits for the refresh of a share, and begins it if there is none. It returns its failure, or the share
// that the reader looks at next. patience is ctx with the time that the reader waits; it never waits for longer.
func (s *share) awaitRefresh(
	ctx, patience context.Context, v ledger.View, src Source, fingerprint string,
) (*share, error) {
	if patience.Err() != nil {
		return nil, notSent(ctx)
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return s.b.share(s.name), nil
	}
	if s.refresh == nil {
		if err := s.startRefreshLocked(context.WithoutCancel(ctx), v, src, fingerprint, forReaders); err != nil {
			s.mu.Unlock()
			return nil, err
		}
	}
	r := s.refresh
	r.waiting++
	s.mu.Unlock()
	select {
	case <-r.done:
	case <-patience.Done():
		return nil, s.leave(ctx, r)
	}
	outdated := r.fingerprint != fingerprint || r.src.ClientSecret != src.ClientSecret
	if outdated || isCancelled(r.err) || errors.Is(r.err, errLoggedOut) {
		return s, nil // it was for settings that were changed since, for readers who have left, or for a share that was ended
	}
	return s, r.err
}

// notSent is returned to a reader who has left, or whose time is up before anything was sent.
func notSent(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return &workfront.BusyError{
		Reason: "no request was sent to Workfront within request_timeout, because calls or storage were too slow; try again",
	}
}

// leave ends a reader's wait, and returns why. A refresh that was sent goes on.
func (s *share) leave(ctx context.Context, r *refresh) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.waiting--
	if r.waiting == 0 && r.purpose == forReaders && !r.sent {
		r.cancel()
		if s.refresh == r {
			s.refresh = nil // the next reader begins another
		}
	}
	if r.sent && ctx.Err() == nil {
		return errNoAnswer()
	}
	return notSent(ctx)
}

// startRefreshLocked begins a refresh. share.mu is held.
func (s *share) startRefreshLocked(
	ctx context.Context, v ledger.View, src Source, fingerprint string, p purpose,
) error {
	b := s.b
	if err := b.begin(); err != nil {
		return err
	}
	permit, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	r := &refresh{src: src, fingerprint: fingerprint, purpose: p, cancel: cancel, over: permit.Done(), done: make(chan struct{})}
	s.refresh = r
	go func() {
		defer b.inFlight.Done()
		defer cancel()
		replaced, err := s.runRefresh(ctx, permit, v, r)
		s.mu.Lock()
		if s.refresh == r {
			s.refresh = nil
		}
		s.mu.Unlock()
		if err != nil && p == forNoReader {
			b.noteRefreshFailed(src.Role, err)
		}
		r.err = err
		close(r.done)
		for _, id := range replaced { // no reader waits for their logouts
			if err := b.endReplaced(ctx, v, id); err != nil {
				b.logger.Warn("failed to end a replaced session; will retry", "session_id", id, "error", err)
			}
		}
	}()
	return nil
}

// runRefresh makes a session current: the one that storage names, which a process before this one may have started, or
// else a new one. It returns the IDs of those that were replaced: what memory issued need not be what storage names, if
// that took a hint and reported a failure.
func (s *share) runRefresh(ctx, permit context.Context, v ledger.View, r *refresh) (replaced []string, err error) {
	b := s.b
	hint, err := b.hint(ctx, v, s.name)
	if err != nil {
		return nil, err
	}
	issued := s.currentID()
	if hint.SessionID != "" && hint.Fingerprint == r.fingerprint && r.purpose == forReaders {
		switch found, err := s.adopt(ctx, v, r, hint.SessionID); {
		case err != nil:
			return nil, err
		case found:
			return others(hint.SessionID, issued), nil
		}
	}
	var id string
	var current bool
	wanted := func() bool { return s.wants(r) }
	err = b.untilLive(permit, wanted, func(began *logoutMark) error {
		started, err := b.exchange(ctx, permit, v, r.src, func() { s.setSent(r) })
		if err != nil {
			return err
		}
		id = started.ID()
		current, err = s.install(ctx, v, r, started, began)
		return err
	})
	if err != nil || !current {
		return nil, err
	}
	return others(id, hint.SessionID, issued), nil
}

func (s *share) setSent(r *refresh) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.sent = true
}

// wants reports whether what a refresh brings will be issued: not if the share was ended in the meantime. Readers who
// wait for it nevertheless begin another one, which knows of the share as it is then.
func (s *share) wants(r *refresh) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wantsLocked(r)
}

func (s *share) wantsLocked(r *refresh) bool { return !s.ended && s.refresh == r }

// adopt makes the session current that storage names, if it is good.
func (s *share) adopt(ctx context.Context, v ledger.View, r *refresh, id string) (bool, error) {
	if v.IsEnding(id) {
		return false, nil // without waiting for its logout
	}
	h, err := v.Hold(ctx, id)
	if ledger.IsUnreadable(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer h.Release()
	if known := h.Session(); known == nil || h.Ending() || !s.b.issuable(known) {
		return false, nil
	}
	h.Want()
	return s.makeCurrent(r, id, time.Time{}), nil // unchecked by this process
}

// install records a new session and makes it current. If it cannot, or no reader will come for it, it ends the session.
func (s *share) install(
	ctx context.Context, v ledger.View, r *refresh, started *ledger.Session, began *logoutMark,
) (current bool, err error) {
	b := s.b
	h, err := v.Hold(ctx, started.ID())
	if err != nil {
		v.Owe(started.ID(), started)
		return false, err
	}
	defer h.Release()
	recorded, err := b.recordHeld(ctx, v, h, started, ledger.LeaseID{}, began)
	if err != nil {
		return false, err
	}
	if err = checkLifetime(recorded.Left(b.now())); err == nil {
		current, err = s.publish(ctx, v, r, started.ID())
	}
	if !current {
		if _, endErr := b.endUnleasedHeld(ctx, v, h, ledger.End{Owed: true}); endErr != nil {
			err = endErr // a failure of storage
		}
	}
	return current, err
}

// endReplaced ends a session that was replaced, if it has no lease. Otherwise it ends with its last lease.
func (b *Broker) endReplaced(ctx context.Context, v ledger.View, id string) error {
	_, err := b.endUnleased(ctx, v, id, ledger.End{Owed: true})
	switch {
	case ledger.IsUnreadable(err):
		return nil // its owner deals with it
	case err != nil:
		v.Owe(id, nil) // nothing in storage leads to it any more, but the index of its expiry
	}
	return err
}

// others returns each of the IDs once, without kept and those that are empty.
func others(kept string, ids ...string) []string {
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" || id == kept })
}
