package session

import (
	"context"
	"errors"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	// checkEvery is how often a shared session in use is checked, at most.
	checkEvery = time.Minute
	// checkAgain is how long, by default, after Workfront has said that a session is gone it is asked once more.
	checkAgain = 2 * time.Second
)

// checkAlive calls Workfront as the user of the current session. If Workfront does not know the session any more, twice, that
// is not issued from this moment on, a replacement is started, and the ledger says that the session is gone.
func (b *Broker) checkAlive(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint string, session *ledger.Session,
) {
	if !b.isGone(ctx, l, src, session) {
		return // it lives, or Workfront does not say: then it is issued until it expires
	}
	id := session.ID()
	b.logouts.add(id) // an exchange that is under way may have returned it before
	h := b.ref(id)
	defer b.unref(h)
	replacement, dead := b.replaceDead(ctx, l, src, fingerprint, h)
	if !dead {
		return
	}
	if replacement != nil {
		<-replacement.over // which may return this very session
	}
	if err := b.storeGone(ctx, l, h); err != nil {
		b.logger.Warn("failed to store that a shared session is gone; the next check tries again", "session_id", id, "error", err)
	}
}

// isGone reports whether Workfront says twice that it does not know a session that it should have heard of.
func (b *Broker) isGone(ctx context.Context, l ledger.Ledger, src Source, s *ledger.Session) bool {
	if !b.saysGone(ctx, l, src, s) {
		return false
	}
	again := time.NewTimer(b.again)
	defer again.Stop()
	select {
	case <-again.C:
	case <-b.closing: // another process checks it
		return false
	}
	return !b.young.has(s) && b.saysGone(ctx, l, src, s)
}

func (b *Broker) saysGone(ctx context.Context, l ledger.Ledger, src Source, s *ledger.Session) bool {
	endpoint, configured, err := b.logoutEndpoint(ctx, l.Storage(), s)
	if err != nil {
		return false
	}
	client, err := b.backgroundClient(endpoint)
	if err != nil {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	err = client.Whoami(limited, s.Token, apiVersions(configured, s), s.UserID)
	return errors.Is(err, workfront.ErrSessionGone)
}

// replaceDead stops issuing a dead session, and begins a refresh of its share, which it returns if there is one. dead is
// false if the session is being ended, or has ended already.
func (b *Broker) replaceDead(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint string, h *handle,
) (replacement *refresh, dead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.ending != notEnding || !h.stale && (h.session == nil || h.session.State != ledger.StateActive) {
		return nil, false
	}
	h.ending = endingUnleased // until storeGone; its leases are released by those who wait for that
	s := b.shares[shareName(src.Role)]
	if s == nil || s.current != h {
		return nil, true
	}
	b.setCurrentLocked(s, nil, "")
	if s.refresh == nil {
		_ = b.startRefreshLocked(ctx, l, src, fingerprint, s, inBackground) // the next reader tries again
	}
	return s.refresh, true
}

// storeGone stores that Workfront does not know a session, unless an exchange has returned it since. If it has no lease, it is
// ended: no release will do that.
func (b *Broker) storeGone(ctx context.Context, l ledger.Ledger, known *handle) error {
	h, err := b.hold(ctx, l, known.id)
	if err != nil {
		b.setEnding(known, notEnding)
		return err
	}
	defer b.letGo(h)
	b.setEnding(h, notEnding)
	s := h.session
	if s == nil || s.State != ledger.StateActive || b.young.has(s) {
		return nil
	}
	gone := *s
	gone.State = ledger.StateGone
	if err := l.Update(ctx, s, &gone, ledger.LeaseID{}); err != nil {
		b.setStale(h)
		return err
	}
	b.setHeld(h, &gone, h.leases)
	b.observer.SessionGone()
	b.logger.Info("workfront does not know a shared session any more; it is no longer issued", "session_id", h.id,
		"role", s.Role, "leases", h.leases.len())
	if h.leases.len() > 0 {
		return nil
	}
	return b.endHeld(ctx, l, h, endingUnleased, b.logoutInBackground)
}

// activate stores that a session whose state was another one may be issued again. The caller holds it.
func (b *Broker) activate(ctx context.Context, l ledger.Ledger, h *handle) error {
	active := activated(h.session)
	if err := l.Update(ctx, h.session, active, ledger.LeaseID{}); err != nil {
		b.setStale(h)
		return err
	}
	b.setHeld(h, active, h.leases)
	return nil
}
