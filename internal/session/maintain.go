package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"
)

const (
	// parkedFor is how long a session is tried to be logged out, if its stated end does not come first.
	parkedFor = 24 * time.Hour
	// parallelLogouts is how many parked sessions are logged out at a time.
	parallelLogouts = 16
	// Closing is brief: Vault waits for it when it steps down, and the other mounts of the process wait with it.
	closeWait   = 2 * time.Second
	closeLogout = 3 * time.Second
)

// probeKey is written before maintenance calls Workfront, to find out whether storage can be written at all.
const probeKey = "maintenance"

// retryUntil returns when a parked session is given up.
func (r *Record) retryUntil() time.Time {
	limit := r.ParkedAt.Add(parkedFor)
	if r.Stated && r.ExpiresAt.Before(limit) {
		return r.ExpiresAt
	}
	return limit
}

// Maintain drops sessions whose end has passed and tries again to log out what is parked. What it costs follows
// those, not the number of live sessions. On storage that cannot be written it does nothing.
func (b *Broker) Maintain(ctx context.Context, storage logical.Storage) error {
	l := ledger{storage}
	buckets, err := l.endedBuckets(ctx, b.now())
	if err != nil {
		return err
	}
	parked, err := l.list(ctx, parkedPrefix)
	if err != nil {
		return err
	}
	strays := b.takeStrays()
	if len(buckets) == 0 && len(parked) == 0 && len(strays) == 0 {
		return nil
	}
	if err := l.mark(ctx, probeKey); err != nil {
		b.returnStrays(strays)
		if isReadOnly(err) {
			return nil // a standby: the active node does it
		}
		return err
	}
	errs := []error{b.settleStrays(ctx, l, strays)}
	for _, bucket := range buckets {
		errs = append(errs, b.dropEnded(ctx, l, bucket))
	}
	errs = append(errs, b.retryParked(ctx, l, parked))
	return errors.Join(errs...)
}

// isReadOnly also knows the error by its text, which is all that comes through the plugin's gRPC.
func isReadOnly(err error) bool {
	return errors.Is(err, logical.ErrReadOnly) || strings.Contains(err.Error(), logical.ErrReadOnly.Error())
}

// dropEnded removes the sessions of a bucket whose time has passed.
func (b *Broker) dropEnded(ctx context.Context, l ledger, bucket string) error {
	ids, err := l.list(ctx, expiryPrefix+bucket+"/")
	if err != nil {
		return err
	}
	return b.each(ctx, ids, func(ctx context.Context, id string) error {
		record, err := l.get(ctx, id)
		if err != nil {
			return err
		}
		place := expiryPrefix + bucket + "/" + id
		switch {
		case record == nil, place != expiryKey(id, record.ExpiresAt):
			return l.delete(ctx, place)
		case record.State == StateLogoutPending && !record.Stated:
			return nil // may be alive, and is tried until retryUntil
		}
		leases, err := l.leases(ctx, record)
		if err != nil {
			return err
		}
		return b.end(ctx, l, record, leases)
	})
}

// retryParked logs parked sessions out.
func (b *Broker) retryParked(ctx context.Context, l ledger, ids []string) error {
	return b.each(ctx, ids, func(ctx context.Context, id string) error {
		record, err := l.get(ctx, id)
		if err != nil {
			return err
		}
		if record == nil || record.State != StateLogoutPending {
			return l.delete(ctx, parkedPrefix+id)
		}
		leases, err := l.leases(ctx, record) // of a re-issue that failed
		if err != nil {
			return err
		}
		if !b.now().Before(record.retryUntil()) {
			b.logger.Warn("session given up: it could not be logged out in time", "session_id", id, "base_url", record.Endpoint.BaseURL,
				"parked_at", record.ParkedAt.Format(time.RFC3339))
			return l.remove(ctx, record, leases)
		}
		if err := b.logout(ctx, record); err != nil {
			b.logger.Debug("session still not logged out", "session_id", id, "base_url", record.Endpoint.BaseURL, "error", err)
			return nil
		}
		b.logger.Info("session logged out that had been kept to be tried again", "session_id", id, "base_url", record.Endpoint.BaseURL)
		return l.remove(ctx, record, leases)
	})
}

// each runs do for each session, several at a time, while it holds the session.
func (b *Broker) each(ctx context.Context, ids []string, do func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLogouts)
	for _, id := range ids {
		group.Go(func() error {
			release, err := b.hold(ctx, id)
			if err != nil {
				return err
			}
			defer release()
			return do(ctx, id)
		})
	}
	return group.Wait()
}

// settleStrays ends the sessions that storage did not take, unless the ledger holds them for a lease.
func (b *Broker) settleStrays(ctx context.Context, l ledger, strays map[string]*Record) error {
	ids := make([]string, 0, len(strays))
	for id := range strays {
		ids = append(ids, id)
	}
	return b.each(ctx, ids, func(ctx context.Context, id string) error {
		stray := strays[id]
		known, err := l.get(ctx, id)
		if err != nil {
			b.stray(stray)
			return err
		}
		if known != nil {
			err = b.release(ctx, l, id, stray.Lease)
		} else {
			err = b.end(ctx, l, stray, nil)
		}
		if err != nil {
			b.stray(stray)
		}
		return err
	})
}

func (b *Broker) takeStrays() map[string]*Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	strays := b.strays
	b.strays = make(map[string]*Record)
	return strays
}

func (b *Broker) returnStrays(strays map[string]*Record) {
	for _, r := range strays {
		b.stray(r)
	}
}

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
