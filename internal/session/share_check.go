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

// check calls Workfront as the user of the current session. If Workfront does not know the session any more, twice, it is
// not issued from this moment on, a replacement is started, and the ledger says that the session is gone.
func (s *share) check(ctx context.Context, v ledger.View, src Source, fingerprint string, session *ledger.Session) {
	b, id := s.b, session.ID()
	if !b.isGone(ctx, v, src, session) {
		return // it lives, or Workfront does not say: then it is issued until it expires
	}
	if known, read := v.Peek(id); known == nil && read {
		return // it was logged out in the meantime
	}
	b.logouts.add(id) // an exchange that is under way may have returned it before
	if replacement := s.replaceGone(ctx, v, src, fingerprint, id); replacement != nil {
		<-replacement.over // which may return this very session
	}
	if err := b.storeGone(ctx, v, id); err != nil {
		b.logger.Warn("failed to store that a shared session is gone; the next check tries again", "session_id", id, "error", err)
	}
}

// isGone reports whether Workfront says twice that it does not know a session that it should have heard of.
func (b *Broker) isGone(ctx context.Context, v ledger.View, src Source, s *ledger.Session) bool {
	if !b.saysGone(ctx, v, src, s) {
		return false
	}
	again := time.NewTimer(b.again)
	defer again.Stop()
	select {
	case <-again.C:
	case <-b.closing: // another process checks it
		return false
	}
	return !b.young.has(s) && b.saysGone(ctx, v, src, s)
}

func (b *Broker) saysGone(ctx context.Context, v ledger.View, src Source, s *ledger.Session) bool {
	client, versions, err := b.client(ctx, v, s, b.backgroundClient)
	if err != nil {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	err = client.Whoami(limited, s.Token, versions, s.UserID)
	return errors.Is(err, workfront.ErrSessionGone)
}

// replaceGone stops issuing a session, if it is the current one, and begins a refresh, which it returns if there is one.
func (s *share) replaceGone(ctx context.Context, v ledger.View, src Source, fingerprint, id string) *refresh {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != id {
		return nil
	}
	s.setCurrentLocked("", "")
	if s.refresh == nil && !s.ended {
		_ = s.startRefreshLocked(ctx, v, src, fingerprint, forNoReader) // the next reader tries again
	}
	return s.refresh
}

// storeGone stores that Workfront does not know a session, unless an exchange has returned it since. If it has no lease,
// it is ended: no release will do that.
func (b *Broker) storeGone(ctx context.Context, v ledger.View, id string) error {
	h, err := v.Hold(ctx, id)
	if err != nil {
		return err
	}
	defer h.Release()
	s := h.Session()
	if s == nil || h.Ending() || s.State != ledger.StateActive || b.young.has(s) {
		return nil
	}
	if err := h.SetGone(ctx); err != nil {
		return err
	}
	b.observer.SessionGone()
	b.logger.Info("workfront does not know a shared session any more; it is no longer issued", "session_id", id, "role", s.Role)
	_, err = b.endUnleasedHeld(ctx, v, h, ledger.End{Owed: true})
	return err
}
