package session

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"

	"vault-plugin-secrets-workfront/internal/ledger"
)

const (
	// pendingFor is how long a logout is retried, if the session's stated lifetime does not end before.
	pendingFor = 24 * time.Hour
	// parallelEnds is how many sessions are ended at a time.
	parallelEnds = 16
	// lastBegin is how long before its deadline maintenance begins with no other session, so that what it has begun is not cut off
	// between the writes of a removal.
	lastBegin = 2 * logoutTimeout
)

// retryUntil returns when a pending logout is given up.
func retryUntil(s *ledger.Session) time.Time {
	limit := s.PendingSince.Add(pendingFor)
	if s.Stated && s.ExpiresAt.Before(limit) {
		return s.ExpiresAt
	}
	return limit
}

// Maintain drops sessions that have expired and retries pending logouts. What it costs follows those, not the number of live
// sessions. On storage that cannot be written it does nothing.
func (b *Broker) Maintain(ctx context.Context, storage logical.Storage) error {
	b.tellSums()
	b.outages.retryNow() // the next run is a minute away
	begins := ctx
	if deadline, ok := ctx.Deadline(); ok {
		earlier, cancel := context.WithDeadline(ctx, deadline.Add(-lastBegin))
		defer cancel()
		begins = earlier
	}
	return b.maintain(ctx, begins, ledger.New(storage))
}

// maintain is Maintain that begins with no other session once begins has ended.
func (b *Broker) maintain(ctx, begins context.Context, l ledger.Ledger) error {
	expired, err := l.ExpiredBuckets(ctx, b.now())
	if err != nil {
		return err
	}
	pending, err := l.Pending(ctx)
	if err != nil {
		return err
	}
	unsettled := b.unsettled()
	if len(expired) == 0 && len(pending) == 0 && len(unsettled) == 0 {
		return nil
	}
	if err := b.proof.renew(ctx, l, b.now); err != nil {
		if ledger.IsReadOnly(err) {
			return nil // a standby: the active node does it
		}
		return err
	}
	errs := []error{b.settleAll(ctx, begins, l, unsettled)}
	for _, bucket := range expired {
		errs = append(errs, b.dropExpired(ctx, begins, l, bucket))
	}
	errs = append(errs, b.retryPending(ctx, begins, l, pending))
	return errors.Join(errs...)
}

// settleAll does the work that storage does not know of.
func (b *Broker) settleAll(ctx, begins context.Context, l ledger.Ledger, ids []string) error {
	return b.each(ctx, begins, l, ids, func(ctx context.Context, h *handle) error { return b.settle(ctx, l, h) })
}

// dropExpired removes the sessions of a bucket that lies in the past.
func (b *Broker) dropExpired(ctx, begins context.Context, l ledger.Ledger, bucket ledger.Bucket) error {
	ids, err := l.InBucket(ctx, bucket)
	if err != nil {
		return err
	}
	return b.each(ctx, begins, l, ids, func(ctx context.Context, h *handle) error {
		switch {
		case h.session == nil, !bucket.Holds(h.session):
			return l.DropExpiry(ctx, bucket, h.id)
		case h.session.State == ledger.StateLogoutPending && !h.session.Stated:
			return nil // may be alive, and is retried until retryUntil
		}
		_, err := b.end(ctx, l, h, endingRegardless, b.logoutInBackground)
		return err
	})
}

// retryPending retries pending logouts. The log is told of the sums, because there can be thousands.
func (b *Broker) retryPending(ctx, begins context.Context, l ledger.Ledger, ids []string) error {
	var finished, givenUp, remaining atomic.Int64
	var failure atomic.Pointer[failedLogout] // one of those that were tried
	err := b.each(ctx, begins, l, ids, func(ctx context.Context, h *handle) error {
		s := h.session
		if s == nil || s.State != ledger.StateLogoutPending {
			return l.DropPending(ctx, h.id)
		}
		b.setEnding(h, endingRegardless) // no reader waits for it
		if !b.now().Before(retryUntil(s)) {
			b.logger.Debug("pending logout given up", "session_id", h.id, "base_url", s.Endpoint.BaseURL,
				"pending_since", s.PendingSince.Format(time.RFC3339))
			givenUp.Add(1)
			return b.remove(ctx, l, h)
		}
		if err := b.proof.renew(ctx, l, b.now); err != nil {
			b.setEnding(h, notEnding) // storage says what is to be done
			return err
		}
		if err := b.logoutInBackground(ctx, l, s); err != nil {
			b.setEnding(h, notEnding)
			b.logger.Debug("logout still pending", "session_id", h.id, "base_url", s.Endpoint.BaseURL, "error", err)
			remaining.Add(1)
			if !errors.Is(err, errMarkedUnavailable) {
				failure.Store(&failedLogout{s.Endpoint.BaseURL, err})
			}
			return nil
		}
		if err := b.remove(ctx, l, h); err != nil {
			return err
		}
		b.logger.Debug("pending logout succeeded", "session_id", h.id, "base_url", s.Endpoint.BaseURL)
		finished.Add(1)
		b.notify(ctx, event(EventLogoutFinished, s))
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

// each calls do for each session, several at a time, while it holds the session. What fails for one does not keep the others
// from their turn; the end of begins does, after which no other one is begun. Sessions whose entries cannot be read are left alone, and the log says how many.
func (b *Broker) each(
	ctx, begins context.Context, l ledger.Ledger, ids []string, do func(context.Context, *handle) error,
) error {
	var group errgroup.Group
	group.SetLimit(parallelEnds)
	errs := make([]error, len(ids))
	for i, id := range ids {
		if begins.Err() != nil {
			break
		}
		group.Go(func() error {
			h, err := b.hold(ctx, l, id)
			if err != nil {
				errs[i] = err
				return nil
			}
			defer b.letGo(h)
			if errs[i] = do(ctx, h); errs[i] != nil {
				b.setStale(h)
			}
			return nil
		})
	}
	_ = group.Wait()
	readable := slices.DeleteFunc(errs, isUnreadable)
	if n := len(ids) - len(readable); n > 0 {
		b.logger.Error("sessions left alone: their storage entries are damaged, or written by a newer version of this plugin; "+
			"see `vault list -detailed` of this mount's sessions", "sessions", n)
	}
	return errors.Join(append(readable, ctx.Err())...)
}

// isUnreadable tells whether err says that an entry in storage is damaged or newer.
func isUnreadable(err error) bool {
	var damaged *ledger.DamagedError
	var newer *ledger.NewerError
	return errors.As(err, &damaged) || errors.As(err, &newer)
}
