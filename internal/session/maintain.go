package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// lastBegin is how long before its deadline maintenance begins with no other session, so that what it has begun is not
// cut off between the writes of a removal.
const lastBegin = 2 * logoutTimeout

// runs remembers when maintenance last ran, so that a clock that is wrong for one run ends nothing. It is safe for
// concurrent use.
type runs struct {
	mu   sync.Mutex
	last time.Time // by the wall clock; zero before the first run of the process
}

// begin notes a run. It returns the time before which an expiry is past: the earlier one of this run's and the last
// run's.
func (r *runs) begin(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	now = now.Round(0)
	past := earlier(now, r.last)
	r.last = now
	return past
}

// Maintain drops sessions that have expired and retries pending logouts. What it costs follows those, not the number of
// live sessions. On storage that cannot be written it does nothing.
func (b *Broker) Maintain(ctx context.Context, storage logical.Storage) error {
	b.tellSums()
	b.clients.Sweep()
	b.outages.retryNow() // the next run is a minute away
	b.young.prune()
	begins := ctx
	if deadline, ok := ctx.Deadline(); ok {
		earlier, cancel := context.WithDeadline(ctx, deadline.Add(-lastBegin))
		defer cancel()
		begins = earlier
	}
	return b.maintain(ctx, begins, b.ledger.In(storage))
}

// maintain is Maintain that begins with no other session once begins has ended.
func (b *Broker) maintain(ctx, begins context.Context, v ledger.View) error {
	expired, err := v.ExpiredBuckets(ctx, b.runs.begin(b.now()))
	if err != nil {
		return err
	}
	pending, err := v.Pending(ctx)
	if err != nil {
		return err
	}
	unfinished := without(v.Unfinished(), pending) // retryPending does those, and counts them
	idle := b.idleShares()
	if len(expired) == 0 && len(pending) == 0 && len(unfinished) == 0 && len(idle) == 0 {
		return nil
	}
	if err := v.ProveWritable(ctx); err != nil {
		if ledger.IsReadOnly(err) {
			return nil // a standby: the active node does it
		}
		return err
	}
	errs := []error{b.finishAll(ctx, begins, v, unfinished)}
	for _, bucket := range expired {
		errs = append(errs, b.sweep(ctx, begins, v, bucket))
	}
	errs = append(errs, b.retryPending(ctx, begins, v, pending))
	for _, s := range idle {
		errs = append(errs, s.dropIdle(ctx, v))
	}
	return errors.Join(errs...)
}

// finishAll does the work that storage does not know of.
func (b *Broker) finishAll(ctx, begins context.Context, v ledger.View, ids []string) error {
	return b.each(ctx, begins, v, ids, func(ctx context.Context, h *ledger.Held) error {
		if !h.Unfinished() {
			return nil
		}
		s := h.Session()
		if s == nil || h.Leased() && !h.Regardless() || h.OwedInStorage() && !h.LoggedOut() {
			if err := h.Finish(ctx); err != nil || s == nil || h.Leased() || h.OwedInStorage() {
				return err
			}
			// The releases that were left to store were those of the last leases.
		}
		_, _, err := b.end(ctx, v, h, attempt{End: ledger.End{Owed: true}, client: b.backgroundClient})
		return err
	})
}

// without returns the IDs that are not among others.
func without(ids, others []string) []string {
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(others)
	return slices.DeleteFunc(ids, func(id string) bool {
		_, found := slices.BinarySearch(others, id)
		return found
	})
}

// sweep ends the sessions of a bucket that is in the past, and drops what a late write left of those that were removed.
func (b *Broker) sweep(ctx, begins context.Context, v ledger.View, bucket ledger.Bucket) error {
	ids, err := v.InBucket(ctx, bucket)
	if err != nil {
		return err
	}
	return b.each(ctx, begins, v, ids, func(ctx context.Context, h *ledger.Held) error {
		switch s := h.Session(); {
		case s == nil:
			if err := v.DropLeases(ctx, h.ID()); err != nil {
				return err
			}
			return v.DropExpiry(ctx, bucket, h.ID())
		case !bucket.Covers(s):
			return v.DropExpiry(ctx, bucket, h.ID())
		case s.Owed && !s.PendingSince.IsZero():
			return nil // retryPending finds it through its own index
		}
		_, _, err := b.end(ctx, v, h, attempt{End: ledger.End{Regardless: true, Owed: true}, client: b.backgroundClient})
		return err
	})
}

// retryPending retries the logouts that are owed, in random order: those that are refused each time must not keep others
// from their turn. The log is told of the sums, because there can be thousands.
func (b *Broker) retryPending(ctx, begins context.Context, v ledger.View, ids []string) error {
	var finished, givenUp, remaining atomic.Int64
	var failure atomic.Pointer[failedLogout]                                   // one of those that were tried
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] }) //nolint:gosec // an order, not a secret
	err := b.eachInTurn(ctx, begins, v, ids, newHostTurns(), func(ctx context.Context, h *ledger.Held) error {
		s := h.Session()
		if s == nil || !h.Ending() {
			return h.DropPending(ctx)
		}
		f, cause, err := b.end(ctx, v, h, attempt{client: b.backgroundClient}) // no reader waits for it
		if err != nil {
			return err
		}
		switch {
		case f == loggedOut:
			b.logger.Debug("pending logout succeeded", "session_id", h.ID(), "base_url", s.Endpoint.BaseURL)
			finished.Add(1)
			if !s.PendingSince.IsZero() && !s.Unannounced {
				b.notify(ctx, event(EventLogoutFinished, s))
			}
		case f == dropped:
			b.logger.Debug("pending logout given up", "session_id", h.ID(), "base_url", s.Endpoint.BaseURL,
				"pending_since", s.PendingSince.Format(time.RFC3339))
			givenUp.Add(1)
		case errors.Is(cause, workfront.ErrGoneTooSoon): // nothing has failed yet
		default:
			remaining.Add(1)
			if !errors.Is(cause, errMarkedUnavailable) {
				failure.Store(&failedLogout{s.Endpoint.BaseURL, cause})
			}
		}
		return nil
	})
	if n := finished.Load(); n > 0 {
		b.logger.Info("pending logouts succeeded", "sessions", n)
	}
	if n := givenUp.Load(); n > 0 {
		b.logger.Warn("pending logouts given up: the sessions could not be logged out in time", "sessions", n)
	}
	if n := remaining.Load(); n > 0 {
		f := failure.Load()
		if f == nil {
			f = &failedLogout{err: errMarkedUnavailable}
		}
		b.logger.Warn("logouts still pending", "sessions", n, "base_url", f.baseURL, "error", f.err)
	}
	return err
}

// failedLogout says why a logout did not succeed.
type failedLogout struct {
	baseURL string
	err     error
}
