package session

import (
	"context"

	"github.com/hashicorp/vault/sdk/helper/locksutil"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// hint returns what storage names as the current session of a share. It is only a hint: one that cannot be read is dropped.
func (b *Broker) hint(ctx context.Context, l ledger.Ledger, name string) (ledger.Shared, error) {
	hint, err := l.Shared(ctx, name)
	if isUnreadable(err) {
		b.logger.Warn("dropping an unreadable hint at a shared session", "error", err)
		return ledger.Shared{}, l.DeleteShared(ctx, name)
	}
	return hint, err
}

// publish makes the session current that the caller holds, in storage and in memory, unless its share was ended meanwhile.
func (b *Broker) publish(ctx context.Context, l ledger.Ledger, s *share, r *refresh, h *handle) (current bool, err error) {
	defer b.lockHint(s.name)()
	if !b.wanted(s, r) {
		return false, nil
	}
	if err := l.SetShared(ctx, s.name, ledger.Shared{SessionID: h.id, Fingerprint: r.fingerprint}); err != nil {
		return false, err
	}
	return b.makeCurrent(s, r, h, b.now()), nil
}

// lockHint has a hint and what memory issues agree: it is held while a refresh writes both, and while the end of a share takes
// both back. No reader waits for it but through a refresh. It returns what releases it.
func (b *Broker) lockHint(share string) (release func()) {
	lock := locksutil.LockForKey(b.hints, share)
	lock.Lock()
	return lock.Unlock
}

// forget has memory issue nothing of a share any more. It returns the session that the hint names, and the one that memory
// issued.
func (b *Broker) forget(ctx context.Context, l ledger.Ledger, name string) (named, issued string, err error) {
	defer b.lockHint(name)()
	hint, err := b.hint(ctx, l, name)
	if err != nil {
		return "", "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return hint.SessionID, b.forgetLocked(name), nil
}
