package session

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	// logoutTimeout is the whole time that a logout may take, retries included, so that a revocation does not
	// hold Vault up: it keeps a lock meanwhile that delays a step-down.
	logoutTimeout = 5 * time.Second
	logoutRetries = 2
	// warnEvery is how often the log warns of a session that was parked, at most.
	warnEvery = time.Minute
)

// errKnownDown stands for a logout that was not tried.
var errKnownDown error = &workfront.UnavailableError{Reason: "a logout failed there a moment ago", Transient: true}

// Release ends one lease. The last lease to go logs the session out. A session that cannot be logged out now is
// parked, which is no error: the periodic job goes on with it. Releasing a lease twice, or one whose session is gone,
// is no error either. What is returned is a failure of storage, or the cancellation of ctx; the call can be repeated.
func (b *Broker) Release(ctx context.Context, storage logical.Storage, sessionID, lease string) error {
	id, err := parseLeaseID(lease)
	if err != nil {
		return err
	}
	l := ledger{storage}
	if done, err := b.detach(ctx, l, sessionID, id); done || err != nil {
		return err
	}
	e, err := b.hold(ctx, l, sessionID)
	if err != nil {
		return err
	}
	defer b.letGo(e)
	if err := b.releaseHeld(ctx, l, e, id); err != nil {
		e.failed()
		return err
	}
	return nil
}

// releaseHeld is Release for a caller that holds the session.
func (b *Broker) releaseHeld(ctx context.Context, l ledger, e *entry, lease leaseID) error {
	if e.record == nil {
		// Logged out, or past its end. An interrupted removal may have left the lease.
		return l.removeLease(ctx, e.id, lease)
	}
	_, on := e.leases[lease]
	others := len(e.leases)
	if on {
		others--
	}
	switch {
	case others > 0 && lease == e.record.Lease:
		updated := *e.record
		updated.Lease = leaseID{}
		if err := l.put(ctx, &updated); err != nil {
			return err
		}
		e.record = &updated
	case others > 0:
		if err := l.removeLease(ctx, e.id, lease); err != nil {
			return err
		}
	case e.record.State == StateLogoutPending && !on:
		return nil // parked by an earlier try of this revocation
	default:
		return b.end(ctx, l, e)
	}
	delete(e.leases, lease)
	return nil
}

// end logs a session out that no other lease holds, and removes it from the ledger, or parks it there. The caller holds
// it.
func (b *Broker) end(ctx context.Context, l ledger, e *entry) error {
	_, err := b.finish(ctx, l, e, b.logout)
	return err
}

// finish is end, and returns why the session was parked, if it was.
func (b *Broker) finish(ctx context.Context, l ledger, e *entry, logout func(context.Context, *Record) error) (cause, err error) {
	ended := e.record.ended(b.now())
	if ended && e.record.Stated {
		return nil, b.remove(ctx, l, e)
	}
	b.setLeaving(e, true)
	cause = logout(ctx, e.record)
	switch {
	case cause == nil:
		return nil, b.remove(ctx, l, e)
	case ctx.Err() != nil:
		return nil, ctx.Err() // Vault is leaving; the revocation will be repeated
	case ended && !errors.Is(cause, errKnownDown):
		b.logger.Debug("session not logged out, but past the end that was assumed for it", "session_id", e.id, "error", cause)
		return nil, b.remove(ctx, l, e)
	}
	return cause, b.park(ctx, l, e, cause)
}

// remove takes a session out of the ledger, with its leases. The caller holds it.
func (b *Broker) remove(ctx context.Context, l ledger, e *entry) error {
	if err := l.remove(ctx, e.record, e.leases); err != nil {
		e.failed()
		return err
	}
	e.record, e.leases = nil, make(leaseSet)
	b.setLeaving(e, false)
	return nil
}

// logout ends the session at Workfront, unless that is known to be down.
func (b *Broker) logout(ctx context.Context, r *Record) error {
	if b.endpoints.isDown(r.Endpoint.Endpoint) {
		return errKnownDown
	}
	return b.logoutNow(ctx, r)
}

// logoutNow ends the session at Workfront.
func (b *Broker) logoutNow(ctx context.Context, r *Record) error {
	client, err := b.endpoints.clients.Client(r.Endpoint.Endpoint)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, logoutTimeout)
	defer cancel()
	err = client.Logout(limited, workfront.LogoutRequest{Token: r.Token, APIVersion: r.Endpoint.APIVersion, MaxRetries: logoutRetries})
	if ctx.Err() == nil {
		b.endpoints.observe(r.Endpoint.Endpoint, err)
	}
	b.noteEnded(r.ID()) // a failure may hide a logout
	return err
}

// park keeps a session in the ledger that is to be logged out later. The caller holds it.
func (b *Broker) park(ctx context.Context, l ledger, e *entry, cause error) error {
	first := e.record.State != StateLogoutPending
	parked := *e.record
	parked.Lease = leaseID{}
	if first {
		parked.State, parked.ParkedAt = StateLogoutPending, b.now()
	}
	err := l.park(ctx, &parked, e.record.Lease, e.leases)
	if err != nil {
		e.failed()
		return err
	}
	e.record, e.leases = &parked, make(leaseSet)
	b.setLeaving(e, false)
	b.logger.Log(b.parkedLevel(), "session could not be logged out and is kept to be tried again", "session_id", e.id, "base_url", parked.Endpoint.BaseURL,
		"until", parked.retryUntil().Format(time.RFC3339), "error", cause)
	if first {
		b.notify(ctx, parked.event(EventLogoutParked))
	}
	return nil
}

// parkedLevel is the level at which the log is told that a session was parked. An outage parks thousands: the first is
// warned of, with the cause, and how many there are is what the periodic job says.
func (b *Broker) parkedLevel() hclog.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); now.Sub(b.warnedAt) >= warnEvery {
		b.warnedAt = now
		return hclog.Warn
	}
	return hclog.Debug
}

// abandon ends a session that storage did not take. It never got into the hands of a reader.
func (b *Broker) abandon(ctx context.Context, l ledger, r *Record, cause error) {
	if err := b.logout(ctx, r); err != nil {
		b.logger.Error("session could be neither stored nor logged out; it is kept in memory to be tried again",
			"session_id", r.ID(), "base_url", r.Endpoint.BaseURL, "storage_error", cause, "error", err)
		b.stray(r, r.Lease)
		return
	}
	// Storage that reports an error may have written all the same.
	_ = l.remove(ctx, r, nil)
}
