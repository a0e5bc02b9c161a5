package session

import (
	"context"
	"errors"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// checkEvery is how often a shared session in use is checked, at most.
const checkEvery = time.Minute

// check calls Workfront as the user of the current session, and drops that if Workfront does not know it any more.
func (b *Broker) check(ctx context.Context, l ledger, src Source, r *Record) {
	client, err := b.endpoints.clients.Client(r.Endpoint.Endpoint)
	if err != nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	if err := client.Whoami(limited, r.Token, r.Endpoint.APIVersion, r.UserID); !errors.Is(err, workfront.ErrSessionGone) {
		return // it lives, or Workfront does not say: then it is handed out as long as it should live
	}
	e, err := b.hold(ctx, l, r.ID())
	if err != nil {
		return // the next check tries again
	}
	if e.record == nil || e.record.State != StateActive { // its last lease has ended it meanwhile
		b.letGo(e)
		return
	}
	b.logger.Info("a shared session was ended by someone else", "session_id", e.id, "role", r.Role)
	if err := b.remove(ctx, l, e); err != nil {
		b.setLeaving(e, true)
		b.logger.Warn("a session that has ended could not be removed", "session_id", e.id, "error", err)
	}
	b.letGo(e)
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pools[src.Share]; p != nil && p.flight == nil && p.current.SessionID == e.id {
		_ = b.departLocked(ctx, l, src, p, true)
	}
}
