package session

import (
	"context"
	"errors"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// checkEvery is how often a shared session in use is checked, at most.
const checkEvery = time.Minute

// checkAlive calls Workfront as the user of the current session. If Workfront does not know the session any more, that is
// not issued from this moment on, a replacement is started, and then the leases on it are removed, which nobody waits for.
func (b *Broker) checkAlive(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint string, session *ledger.Session,
) {
	endpoint, _, err := b.logoutEndpoint(ctx, l.Storage(), session)
	if err != nil {
		return
	}
	client, err := b.clients.Client(endpoint)
	if err != nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	err = client.Background().Whoami(limited, session.Token, []string{session.Endpoint.APIVersion}, session.UserID)
	if !errors.Is(err, workfront.ErrSessionGone) {
		return // it lives, or Workfront does not say: then it is issued until it expires
	}
	id := session.ID()
	b.logouts.add(id)        // an exchange that is under way may have returned it before
	defer b.unref(b.ref(id)) // until it is removed, its leases are released without waiting for that
	replacement, removable := b.replaceDead(ctx, l, src, fingerprint, id)
	if !removable {
		return
	}
	if replacement != nil {
		<-replacement.over // readers wait for it; the dead session's leases have time
	}
	h, err := b.hold(ctx, l, id)
	if err == nil {
		defer b.letGo(h)
		if h.session == nil || h.session.State != ledger.StateActive { // logged out meanwhile, with its last lease
			b.setEnding(h, notEnding)
			return
		}
		b.logger.Info("a shared session was logged out outside Vault", "session_id", id, "role", session.Role)
		err = b.remove(ctx, l, h)
	}
	if err != nil {
		b.logger.Warn("failed to remove a session that was logged out outside Vault; will retry", "session_id", id, "error", err)
	}
}

// replaceDead has nobody issue a dead session any more, and begins a refresh of its share, which it returns if there is one.
// It tells whether the session is left to be removed.
func (b *Broker) replaceDead(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint, id string,
) (replacement *refresh, removable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.handles[id]
	if h == nil || h.ending != notEnding || h.session == nil || h.session.State != ledger.StateActive {
		return nil, false // ended meanwhile
	}
	h.ending = endingRegardless
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
