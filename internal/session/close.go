package session

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// Closing is brief: Vault waits for it when it steps down, and the other mounts of the process wait with it.
const (
	closeWait   = 2 * time.Second
	closeLogout = 3 * time.Second
)

// Close finishes what is under way before the plugin is unloaded: it waits briefly for exchanges in flight, and
// tries once more to log out what is parked. What remains is logged, because if the mount is being disabled, nobody
// will go on with it.
func (b *Broker) Close(ctx context.Context, storage logical.Storage) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		b.inFlight.Wait()
		close(finished)
	}()
	waited := time.NewTimer(closeWait)
	defer waited.Stop()
	select {
	case <-finished:
	case <-waited.C:
		b.logger.Warn("unloading while exchanges are in flight; their sessions may stay at workfront until they end")
	case <-ctx.Done():
	}
	l := ledger{storage}
	b.endpoints.forgive() // it is the last try
	limited, cancel := context.WithTimeout(ctx, closeLogout)
	defer cancel()
	if err := b.Maintain(limited, storage); err != nil {
		b.logger.Debug("last maintenance before unloading failed", "error", err)
	}
	remaining, err := l.list(ctx, parkedPrefix)
	if err == nil && len(remaining) > 0 {
		b.logger.Warn("sessions are still to be logged out; if this mount is being disabled, they stay alive until they end",
			"sessions", len(remaining), "until", b.latestEnd(ctx, l, remaining).Format(time.RFC3339))
	}
	b.endpoints.reset()
}

// latestEnd returns when the last of the sessions ends by itself.
func (b *Broker) latestEnd(ctx context.Context, l ledger, ids []string) time.Time {
	var latest time.Time
	for _, id := range ids {
		if r, err := l.get(ctx, id); err == nil && r != nil && r.ExpiresAt.After(latest) {
			latest = r.ExpiresAt
		}
	}
	return latest
}
