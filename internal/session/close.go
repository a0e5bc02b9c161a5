package session

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"
)

// Closing is brief: Vault waits for it when it steps down, and the other mounts of the process wait with it.
const (
	closeWait   = 2 * time.Second
	closeLogout = 3 * time.Second
	closeList   = 2 * time.Second
)

// Close finishes what is under way before the plugin is unloaded: it waits briefly for exchanges in flight, and tries to
// log out what is parked. Another process or node goes on with what remains, unless the mount is being disabled: then
// sessions are tried that nobody leases, too, and the log says what stays alive.
func (b *Broker) Close(ctx context.Context, storage logical.Storage, disabling bool) {
	b.drain(ctx)
	defer b.endpoints.clients.Close()
	l := ledger{storage}
	limited, cancel := context.WithTimeout(ctx, closeLogout)
	defer cancel()
	if !disabling {
		b.noteClosing(b.maintain(limited, l))
		if strays := b.strayRecords(); len(strays) > 0 {
			b.logger.Warn("sessions that could be neither stored nor logged out are forgotten; they stay alive at workfront until they end",
				"sessions", len(strays))
		}
		return
	}
	if err := l.mark(limited, probeKey); err != nil && IsReadOnly(err) {
		return // a standby unloads the mount, too: the active node does the rest
	}
	b.endpoints.forgive() // it is the last try
	b.noteClosing(errors.Join(b.retireAll(limited, l), b.maintain(limited, l)))
	b.lastWords(ctx, l)
}

func (b *Broker) noteClosing(err error) {
	if err != nil {
		b.logger.Debug("last maintenance before unloading failed", "error", err)
	}
}

// drain waits briefly for exchanges in flight, and lets no others begin.
func (b *Broker) drain(ctx context.Context) {
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
}

// retireAll ends whatever is shared and not leased, several at a time.
func (b *Broker) retireAll(ctx context.Context, l ledger) error {
	shares, err := b.Shares(ctx, l.storage)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(parallelLogouts)
	for _, share := range shares {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return b.Retire(ctx, l.storage, share)
		})
	}
	return group.Wait()
}

// lastWords says how many sessions a mount leaves behind, and when the last of them ends by itself. It reads none of them,
// because there can be thousands: the end is that of the last bucket of the index.
func (b *Broker) lastWords(ctx context.Context, l ledger) {
	ctx, cancel := context.WithTimeout(ctx, closeList)
	defer cancel()
	ids, err := l.list(ctx, sessionPrefix)
	var until time.Time
	if err == nil {
		until, err = l.latestEnd(ctx)
	}
	if err != nil {
		b.logger.Warn("this mount is being disabled, and it is not known whether all of its sessions were logged out", "error", err)
		return
	}
	remaining := make(map[string]bool, len(ids))
	for _, id := range ids {
		remaining[id] = true
	}
	for id, r := range b.strayRecords() {
		remaining[id] = true
		if r.ExpiresAt.After(until) {
			until = r.ExpiresAt
		}
	}
	if len(remaining) > 0 {
		b.logger.Warn("this mount is being disabled, and not all of its sessions could be logged out; those stay alive at workfront until they end",
			"sessions", len(remaining), "until", until.UTC().Format(time.RFC3339))
	}
}
