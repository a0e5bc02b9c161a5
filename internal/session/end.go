package session

import (
	"context"
	"errors"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	// logoutTimeout is the whole time that a logout may take, its wait for a turn and retries included, so that a revocation
	// does not hold Vault up: it keeps a lock meanwhile that delays a step-down.
	logoutTimeout = 5 * time.Second
	logoutRetries = 2
)

// logoutFunc logs a session out at Workfront. Its error says why the session may still be alive.
type logoutFunc func(ctx context.Context, l ledger.Ledger, s *ledger.Session) error

// end logs out the session that the caller holds and removes it from the ledger, or leaves its logout pending there; cause
// says why it is pending. With an error nothing of that is certain, and the call can be repeated; until then the session is
// not issued.
func (b *Broker) end(
	ctx context.Context, l ledger.Ledger, h *handle, how ending, logout logoutFunc,
) (cause, err error) {
	b.setEnding(h, how)
	expired := h.session.Expired(b.now())
	if expired && h.session.Stated {
		return nil, b.remove(ctx, l, h)
	}
	// A leader that was frozen may have been replaced: then the session may have leases that this node knows nothing of.
	if err := b.proof.renew(ctx, l, b.now); err != nil {
		return nil, err
	}
	cause = logout(ctx, l, h.session)
	switch {
	case cause == nil:
		return nil, b.remove(ctx, l, h)
	case ctx.Err() != nil:
		return nil, ctx.Err() // Vault is leaving; the revocation will be repeated
	case expired && !errors.Is(cause, errMarkedUnavailable):
		b.logger.Debug("session not logged out, but past its assumed lifetime", "session_id", h.id, "error", cause)
		return nil, b.remove(ctx, l, h)
	}
	return cause, b.setPending(ctx, l, h, h.session, cause)
}

// remove takes a session out of the ledger, with its leases. The caller holds it.
func (b *Broker) remove(ctx context.Context, l ledger.Ledger, h *handle) error {
	if err := l.Remove(ctx, h.session, h.leases.stored()); err != nil {
		b.setStale(h)
		return err
	}
	b.setHeld(h, nil, newLeaseSet())
	b.setEnding(h, notEnding)
	return nil
}

// setPending stores that the logout of s is pending, and removes its leases. The caller holds it. h.session is s, or nil if
// the ledger does not hold s yet.
func (b *Broker) setPending(ctx context.Context, l ledger.Ledger, h *handle, s *ledger.Session, cause error) error {
	first := s.State != ledger.StateLogoutPending
	pending := b.pending(s)
	if err := l.SetPending(ctx, h.session, pending, h.leases.stored()); err != nil {
		b.setStale(h)
		return err
	}
	b.setHeld(h, pending, newLeaseSet())
	b.setEnding(h, notEnding)
	b.notePending(pending, cause)
	if first {
		b.notify(ctx, event(EventLogoutPending, pending))
	}
	return nil
}

// pending returns s as a session whose logout is pending.
func (b *Broker) pending(s *ledger.Session) *ledger.Session {
	p := *s
	p.Lease = ledger.LeaseID{}
	if s.State != ledger.StateLogoutPending {
		p.State, p.PendingSince = ledger.StateLogoutPending, b.now().Round(0)
	}
	return &p
}

// tryLogout ends the session at Workfront, unless that is marked unavailable.
func (b *Broker) tryLogout(ctx context.Context, l ledger.Ledger, s *ledger.Session) error {
	if b.outages.isMarked(s.Endpoint.BaseURL) {
		return errMarkedUnavailable
	}
	return b.logoutNow(ctx, l, s)
}

// logoutNow ends the session at Workfront.
func (b *Broker) logoutNow(ctx context.Context, l ledger.Ledger, s *ledger.Session) error {
	return b.logoutWith(ctx, l, s, func(c *workfront.Client) *workfront.Client { return c })
}

// logoutInBackground is tryLogout for what can wait: it leaves Workfront's limit of calls to others.
func (b *Broker) logoutInBackground(ctx context.Context, l ledger.Ledger, s *ledger.Session) error {
	if b.outages.isMarked(s.Endpoint.BaseURL) {
		return errMarkedUnavailable
	}
	return b.logoutWith(ctx, l, s, (*workfront.Client).Background)
}

func (b *Broker) logoutWith(
	ctx context.Context, l ledger.Ledger, s *ledger.Session, view func(*workfront.Client) *workfront.Client,
) error {
	endpoint, _, err := b.logoutEndpoint(ctx, l.Storage(), s)
	if err != nil {
		return err
	}
	client, err := b.clients.Client(endpoint)
	if err != nil {
		return err
	}
	sending, cancel := uncancelled(ctx, logoutTimeout)
	defer cancel()
	begun := b.now()
	err = view(client).Logout(sending, workfront.LogoutRequest{
		Token: s.Token, APIVersions: []string{s.Endpoint.APIVersion}, MaxRetries: logoutRetries,
	})
	b.observer.LogoutDone(err, b.now().Sub(begun))
	if ctx.Err() == nil {
		b.outages.observe(s.Endpoint.BaseURL, err)
	}
	b.logouts.add(s.ID()) // a failure may hide a logout
	return err
}

// uncancelled returns a context that ends after timeout, or at the deadline of ctx, but not when ctx is cancelled: a logout that
// is cut off can still be carried out, even after Workfront has returned the same session to another reader.
func uncancelled(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	limit := time.Now().Add(timeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(limit) {
		limit = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), limit)
}
