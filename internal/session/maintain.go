package session

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"
)

const (
	// parkedFor is how long a session is tried to be logged out, if its stated end does not come first.
	parkedFor = 24 * time.Hour
	// parallelLogouts is how many parked sessions are logged out at a time.
	parallelLogouts = 16
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
	b.endpoints.forgive() // what is parked is to be tried now: the next run is a minute away
	return b.maintain(ctx, ledger{storage})
}

func (b *Broker) maintain(ctx context.Context, l ledger) error {
	buckets, err := l.endedBuckets(ctx, b.now())
	if err != nil {
		return err
	}
	parked, err := l.list(ctx, parkedPrefix)
	if err != nil {
		return err
	}
	strays := b.straysBySession()
	if len(buckets) == 0 && len(parked) == 0 && len(strays) == 0 {
		return nil
	}
	if err := l.mark(ctx, probeKey); err != nil {
		if IsReadOnly(err) {
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

// IsReadOnly tells whether storage refused to be written, as on a standby. It also knows the error by its text, which is all
// that comes through the plugin's gRPC.
func IsReadOnly(err error) bool {
	return errors.Is(err, logical.ErrReadOnly) || strings.Contains(err.Error(), logical.ErrReadOnly.Error())
}

// dropEnded removes the sessions of a bucket whose time has passed.
func (b *Broker) dropEnded(ctx context.Context, l ledger, bucket string) error {
	ids, err := l.list(ctx, expiryPrefix+bucket+"/")
	if err != nil {
		return err
	}
	return b.each(ctx, l, ids, func(ctx context.Context, e *entry) error {
		place := expiryPrefix + bucket + "/" + e.id
		switch {
		case e.record == nil, place != expiryKey(e.id, e.record.ExpiresAt):
			return l.delete(ctx, place)
		case e.record.State == StateLogoutPending && !e.record.Stated:
			return nil // may be alive, and is tried until retryUntil
		}
		return b.end(ctx, l, e)
	})
}

// retryParked logs parked sessions out. The log is told of the sums, because there can be thousands.
func (b *Broker) retryParked(ctx context.Context, l ledger, ids []string) error {
	var finished, givenUp, remaining atomic.Int64
	var failure atomic.Pointer[failedLogout] // one of those that were tried
	err := b.each(ctx, l, ids, func(ctx context.Context, e *entry) error {
		r := e.record
		if r == nil || r.State != StateLogoutPending {
			return l.delete(ctx, parkedPrefix+e.id)
		}
		if !b.now().Before(r.retryUntil()) {
			b.logger.Debug("session given up: it could not be logged out in time", "session_id", e.id, "base_url", r.Endpoint.BaseURL,
				"parked_at", r.ParkedAt.Format(time.RFC3339))
			givenUp.Add(1)
			return b.remove(ctx, l, e)
		}
		if err := b.logout(ctx, r); err != nil {
			b.logger.Debug("session still not logged out", "session_id", e.id, "base_url", r.Endpoint.BaseURL, "error", err)
			remaining.Add(1)
			if !errors.Is(err, errKnownDown) {
				failure.Store(&failedLogout{r.Endpoint.BaseURL, err})
			}
			return nil
		}
		if err := b.remove(ctx, l, e); err != nil {
			return err
		}
		b.logger.Debug("session logged out that had been kept to be tried again", "session_id", e.id, "base_url", r.Endpoint.BaseURL)
		finished.Add(1)
		b.notify(ctx, r.event(EventLogoutFinished))
		return nil
	})
	if n := finished.Load(); n > 0 {
		b.logger.Info("sessions logged out that had been kept to be tried again", "sessions", n)
	}
	if n := givenUp.Load(); n > 0 {
		b.logger.Warn("sessions given up: they could not be logged out in time", "sessions", n)
	}
	if n := remaining.Load(); n > 0 {
		f := failure.Load()
		if f == nil {
			f = &failedLogout{err: errKnownDown}
		}
		b.logger.Warn("sessions still not logged out", "sessions", n, "base_url", f.baseURL, "error", f.err)
	}
	return err
}

// failedLogout says why a logout did not succeed.
type failedLogout struct {
	baseURL string
	err     error
}

// each runs do for each session, several at a time, while it holds the session. What fails for one does not keep the others
// from their turn; the end of ctx does.
func (b *Broker) each(ctx context.Context, l ledger, ids []string, do func(context.Context, *entry) error) error {
	var group errgroup.Group
	group.SetLimit(parallelLogouts)
	errs := make([]error, len(ids))
	for i, id := range ids {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			e, err := b.hold(ctx, l, id)
			if err != nil {
				errs[i] = err
				return nil
			}
			defer b.letGo(e)
			if errs[i] = do(ctx, e); errs[i] != nil {
				e.failed()
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}
