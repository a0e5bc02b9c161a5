package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

const (
	// logoutTimeout is the whole time that a logout may take, retries included, so that a revocation does not
	// hold Vault up: it keeps a lock meanwhile that delays a step-down.
	logoutTimeout = 5 * time.Second
	logoutRetries = 2
)

// errKnownDown stands for a logout that was not tried.
var errKnownDown = errors.New("a logout failed there a moment ago")

// Session returns what the ledger holds under that ID, or nil if the session is gone. The Record is a copy.
func (b *Broker) Session(ctx context.Context, storage logical.Storage, sessionID string) (*Record, error) {
	return ledger{storage}.get(ctx, sessionID)
}

// Release ends one lease. The last lease to go logs the session out. A session that cannot be logged out now is
// parked, which is no error: the periodic job goes on with it. Releasing a lease twice, or one whose session is gone,
// is no error either. What is returned is a failure of storage, or the cancellation of ctx; the call can be repeated.
func (b *Broker) Release(ctx context.Context, storage logical.Storage, sessionID, leaseID string) error {
	release, err := b.hold(ctx, sessionID)
	if err != nil {
		return err
	}
	defer release()
	return b.release(ctx, ledger{storage}, sessionID, leaseID)
}

// release is Release for a caller that holds the session.
func (b *Broker) release(ctx context.Context, l ledger, sessionID, leaseID string) error {
	record, err := l.get(ctx, sessionID)
	if err != nil {
		return err
	}
	if record == nil {
		// Logged out, or past its end. An interrupted removal may have left the lease.
		return l.delete(ctx, leaseKey(sessionID, leaseID))
	}
	leases, err := l.leases(ctx, record)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(leases, func(other string) bool { return other != leaseID })
	switch {
	case others && leaseID == record.Lease:
		record.Lease = ""
		return l.put(ctx, record)
	case others:
		return l.delete(ctx, leaseKey(sessionID, leaseID))
	case record.State == StateLogoutPending && len(leases) == 0:
		return nil // parked by an earlier try of this revocation
	}
	return b.end(ctx, l, record, leases)
}

// end logs a session out that no other lease holds, and removes it from the ledger, or parks it there.
func (b *Broker) end(ctx context.Context, l ledger, r *Record, leases []string) error {
	ended := r.ended(b.now())
	if ended && r.Stated {
		return l.remove(ctx, r, leases)
	}
	err := b.logout(ctx, r)
	switch {
	case err == nil:
		return l.remove(ctx, r, leases)
	case ctx.Err() != nil:
		return ctx.Err() // Vault is leaving; the revocation will be repeated
	case ended && !errors.Is(err, errKnownDown):
		b.logger.Debug("session not logged out, but past the end that was assumed for it", "session_id", r.ID(), "error", err)
		return l.remove(ctx, r, leases)
	}
	return b.park(ctx, l, r, leases, err)
}

// logout ends the session at Workfront, unless that is known to be down.
func (b *Broker) logout(ctx context.Context, r *Record) error {
	if b.endpoints.isDown(r.Endpoint.Endpoint) {
		return errKnownDown
	}
	client, err := b.endpoints.client(r.Endpoint.Endpoint)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, logoutTimeout)
	defer cancel()
	err = client.Logout(limited, r.Token, r.Endpoint.APIVersion, logoutRetries)
	if ctx.Err() == nil {
		b.endpoints.observe(r.Endpoint.Endpoint, err)
	}
	return err
}

// park keeps a session in the ledger that is to be logged out later.
func (b *Broker) park(ctx context.Context, l ledger, r *Record, leases []string, cause error) error {
	parked := *r
	parked.Lease = ""
	if r.State != StateLogoutPending {
		parked.State, parked.ParkedAt = StateLogoutPending, b.now()
	}
	if err := l.mark(ctx, parkedPrefix+r.ID()); err != nil {
		return err
	}
	if err := l.put(ctx, &parked); err != nil {
		return err
	}
	for _, lease := range leases {
		if lease != r.Lease {
			if err := l.delete(ctx, leaseKey(r.ID(), lease)); err != nil {
				return err
			}
		}
	}
	b.logger.Warn("session could not be logged out and is kept to be tried again", "session_id", r.ID(), "base_url", r.Endpoint.BaseURL,
		"until", parked.retryUntil().Format(time.RFC3339), "error", cause)
	return nil
}

// abandon ends a session that storage did not take. It never got into the hands of a reader.
func (b *Broker) abandon(ctx context.Context, l ledger, r *Record, cause error) {
	if err := b.logout(ctx, r); err != nil {
		b.logger.Error("session could be neither stored nor logged out; it is kept in memory to be tried again",
			"session_id", r.ID(), "base_url", r.Endpoint.BaseURL, "storage_error", cause, "error", err)
		b.stray(r)
		return
	}
	// Storage that reports an error may have written all the same.
	_ = l.remove(ctx, r, nil)
}

// stray keeps a session in memory until storage answers again.
func (b *Broker) stray(r *Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strays[r.ID()] = r
}
