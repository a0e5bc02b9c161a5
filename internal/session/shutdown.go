package session

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// Closing is brief: Vault waits for it when it steps down, and the other mounts of the process wait with it.
const (
	closeWait    = 2 * time.Second
	closeLogout  = 3 * time.Second
	closeTainted = 8 * time.Second // the wait included
	closeList    = 2 * time.Second // after that
)

// Close finishes what is under way before the plugin is unloaded: it waits briefly for exchanges in flight, and retries
// pending logouts. Another process or node goes on with what remains, unless the mount is tainted: somebody has asked to
// have it disabled or moved, or the namespace around it is being sealed. Then every session in the ledger is logged out,
// regardless of its leases, as far as the time allows, and the log says how many remain.
func (b *Broker) Close(ctx context.Context, storage logical.Storage, tainted bool) {
	all, cancel := context.WithTimeout(ctx, closeTainted)
	defer cancel()
	b.drain(all)
	defer b.clients.Close()
	v := b.ledger.In(storage)
	if tainted {
		b.closeTainted(ctx, all, v)
		return
	}
	limited, cancel := context.WithTimeout(all, closeLogout)
	defer cancel()
	b.noteClosing(b.maintain(limited, limited, v))
	if n := len(b.ledger.Unstored()); n > 0 {
		b.logger.Warn("unloading with sessions that could be neither stored nor logged out; they stay alive until they expire",
			"sessions", n)
	}
}

func (b *Broker) closeTainted(ctx, limited context.Context, v ledger.View) {
	if err := v.ProveWritable(limited); err != nil && ledger.IsReadOnly(err) {
		return // a standby unloads the mount, too: the active node does the rest
	}
	b.outages.retryNow() // it is the last try
	b.noteClosing(b.logoutAll(limited, v))
	b.logRemaining(ctx, v)
}

func (b *Broker) noteClosing(err error) {
	if err != nil {
		b.logger.Debug("last logouts before unloading failed", "error", err)
	}
}

// drain waits briefly for exchanges in flight, and lets no others begin.
func (b *Broker) drain(ctx context.Context) {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
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
		b.logger.Warn("unloading while exchanges are in flight; their sessions may stay alive until they expire")
	case <-ctx.Done():
	}
}

// logoutAll logs out every session, regardless of its leases, several at a time.
func (b *Broker) logoutAll(ctx context.Context, v ledger.View) error {
	ids, err := v.IDs(ctx)
	if err != nil {
		return err
	}
	return errors.Join(b.finishAll(ctx, ctx, v, v.Unfinished()), b.each(ctx, ctx, v, ids, func(ctx context.Context, h *ledger.Held) error {
		_, _, err := b.end(ctx, v, h, attempt{End: ledger.End{Regardless: true, Owed: true}, owed: true})
		return err
	}))
}

// logRemaining says how many sessions a tainted mount leaves behind, and when the last of them expires. It reads none of
// them, because there can be thousands: the time is that of the last bucket of the index.
func (b *Broker) logRemaining(ctx context.Context, v ledger.View) {
	const reasons = "it is being disabled or moved, or its namespace is being sealed"
	ctx, cancel := context.WithTimeout(ctx, closeList)
	defer cancel()
	ids, err := v.IDs(ctx)
	var until time.Time
	if err == nil {
		until, err = v.LatestExpiry(ctx)
	}
	if err != nil {
		b.logger.Warn("mount unloaded while tainted, and it is unknown whether all of its sessions were logged out",
			"reason", reasons, "error", err)
		return
	}
	remaining := make(map[string]bool, len(ids))
	for _, id := range ids {
		remaining[id] = true
	}
	for _, s := range b.ledger.Unstored() {
		remaining[s.ID()] = true
		if s.ExpiresAt.After(until) {
			until = s.ExpiresAt
		}
	}
	if len(remaining) > 0 {
		b.logger.Warn("mount unloaded while tainted; some sessions could not be logged out and stay alive until they expire",
			"reason", reasons, "sessions", len(remaining), "until", until.UTC().Format(time.RFC3339))
	}
}
