package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	// logoutTimeout is the whole time that a logout may take, its wait for a turn and retries included, so that a revocation
	// does not hold Vault up: it keeps a lock meanwhile that delays a step-down.
	logoutTimeout = 5 * time.Second
	logoutRetries = 2
	// pendingFor is how long a logout is retried after the first attempt that failed.
	pendingFor = 24 * time.Hour
)

// logoutFunc logs a session out at Workfront. Its error says why the session may still be alive.
type logoutFunc func(ctx context.Context, l ledger.Ledger, s *ledger.Session) error

// attempt says how a session is logged out, and what for.
type attempt struct {
	how    ending
	logout logoutFunc
	// owed: the logout is owed like a pending one, also past an assumed expiry. Otherwise it is the one attempt that a session
	// gets past its expiry.
	owed bool
}

// fate is what happens to a session after an attempt to log it out.
type fate int

const (
	undecided     fate = iota // the attempt was cut off
	loggedOut                 // or Workfront does not know it
	dropped                   // not logged out, and past its expiry or the time for retries
	logoutPending             // to be tried again
)

// fateOf decides what happens to s after an attempt that ended with cause, for revocations, operators, trials and maintenance
// alike. What Workfront itself answers past a session's expiry is final. Anything else says nothing of the session: no turn,
// a pause, no answer, an answer from something in between, or one that came before Workfront can have heard of it.
func fateOf(s *ledger.Session, owed bool, now time.Time, cause error) fate {
	pending := s.State == ledger.StateLogoutPending
	answered := workfront.AnsweredByWorkfront(cause) && !errors.Is(cause, workfront.ErrGoneTooSoon)
	switch {
	case cause == nil:
		return loggedOut
	case pending && !now.Before(retryUntil(s)):
		return dropped
	case answered && s.Expired(now) && (s.Stated || !pending && !owed):
		return dropped
	}
	return logoutPending
}

// retryUntil returns when a pending logout is given up.
func retryUntil(s *ledger.Session) time.Time { return s.PendingSince.Add(pendingFor) }

// end makes an attempt to log out s, which the caller holds, and does what fateOf decides: it removes s from the ledger, or
// leaves its logout pending there. cause says why s may still be alive. h.session is s, or nil if the ledger does not hold s.
// With err, nothing of that is certain, and the call can be repeated; until then the session is not issued.
func (b *Broker) end(
	ctx context.Context, l ledger.Ledger, h *handle, s *ledger.Session, a attempt,
) (f fate, cause, err error) {
	b.setEnding(h, a.how)
	defer func() {
		if err != nil && s.State == ledger.StateLogoutPending {
			b.setEnding(h, notEnding) // storage says what is to be done
		}
	}()
	if h.session != nil {
		// A leader that was frozen may have been replaced: then the session may have leases that this node knows nothing of.
		if err := b.proof.renew(ctx, l, b.now); err != nil {
			return undecided, nil, err
		}
	}
	cause = a.logout(ctx, l, s)
	if cause != nil && ctx.Err() != nil {
		return undecided, nil, ctx.Err() // Vault is leaving; the revocation will be repeated
	}
	f = fateOf(s, a.owed, b.now(), cause)
	if f == logoutPending {
		return f, cause, b.setPending(ctx, l, h, s, cause)
	}
	if f == dropped {
		b.logger.Debug("session not logged out, but past its expiry or the time for retries", "session_id", h.id,
			"base_url", s.Endpoint.BaseURL, "error", cause)
	}
	return f, cause, b.remove(ctx, l, h)
}

// endHeld is end for a session that the ledger holds, and of which only a failure of storage matters to the caller.
func (b *Broker) endHeld(ctx context.Context, l ledger.Ledger, h *handle, how ending, logout logoutFunc) error {
	_, _, err := b.end(ctx, l, h, h.session, attempt{how: how, logout: logout})
	return err
}

// remove takes a session out of the ledger, with its leases. The caller holds it.
func (b *Broker) remove(ctx context.Context, l ledger.Ledger, h *handle) error {
	if h.session != nil {
		if err := l.Remove(ctx, h.session, h.leases.stored()); err != nil {
			b.setStale(h)
			return err
		}
	}
	b.young.forget(h.id)
	b.setHeld(h, nil, newLeaseSet())
	b.setEnding(h, notEnding)
	return nil
}

// setPending stores that the logout of s is pending, and removes its leases. The caller holds it. h.session is s, or nil if
// the ledger does not hold s yet. The log and the event come with the first failure that says more than that the session is
// too young.
func (b *Broker) setPending(ctx context.Context, l ledger.Ledger, h *handle, s *ledger.Session, cause error) error {
	pending := b.pending(s)
	announced := pending.Unannounced && !errors.Is(cause, workfront.ErrGoneTooSoon)
	if announced {
		pending.Unannounced = false
	}
	if err := l.SetPending(ctx, h.session, pending, h.leases.stored()); err != nil {
		b.setStale(h)
		return err
	}
	b.setHeld(h, pending, newLeaseSet())
	b.setEnding(h, notEnding)
	if announced {
		b.notePending(pending, cause)
		b.notify(ctx, event(EventLogoutPending, pending))
		return nil
	}
	b.logger.Debug("logout still pending", "session_id", h.id, "base_url", s.Endpoint.BaseURL, "error", cause)
	return nil
}

// pending returns s as a session whose logout is pending.
func (b *Broker) pending(s *ledger.Session) *ledger.Session {
	p := *s
	p.Lease = ledger.LeaseID{}
	if s.State != ledger.StateLogoutPending {
		p.State, p.PendingSince, p.Unannounced = ledger.StateLogoutPending, b.now().Round(0), true
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
	return b.logoutWith(ctx, l, s, b.clients.Client, b.young.has(s))
}

// logoutInBackground is tryLogout for what can wait: it leaves Workfront's limit of calls to others.
func (b *Broker) logoutInBackground(ctx context.Context, l ledger.Ledger, s *ledger.Session) error {
	if b.outages.isMarked(s.Endpoint.BaseURL) {
		return errMarkedUnavailable
	}
	return b.logoutWith(ctx, l, s, b.backgroundClient, b.young.has(s))
}

// clientSource returns the client that calls to an endpoint are made with.
type clientSource func(e workfront.Endpoint) (*workfront.Client, error)

// backgroundClient is a clientSource for what can wait.
func (b *Broker) backgroundClient(e workfront.Endpoint) (*workfront.Client, error) {
	client, err := b.clients.Client(e)
	if err != nil {
		return nil, err
	}
	return client.Background(), nil
}

// logoutWith logs a session out by the client that clientFor returns. If it is young, Workfront is not believed when it
// does not know it.
func (b *Broker) logoutWith(
	ctx context.Context, l ledger.Ledger, s *ledger.Session, clientFor clientSource, young bool,
) error {
	endpoint, configured, err := b.logoutEndpoint(ctx, l.Storage(), s)
	if err != nil {
		return err
	}
	client, err := clientFor(endpoint)
	if err != nil {
		return err
	}
	sending, cancel := uncancelled(ctx, logoutTimeout)
	defer cancel()
	begun := b.now()
	err = client.Logout(sending, workfront.LogoutRequest{
		Token: s.Token, APIVersions: apiVersions(configured, s), MaxRetries: logoutRetries,
		Young: young, On2xx: func() { b.young.answered(s.ID()) },
	})
	b.observer.LogoutDone(err, b.now().Sub(begun))
	if ctx.Err() == nil {
		b.outages.observe(s.Endpoint.BaseURL, err)
	}
	b.logouts.add(s.ID()) // a failure may hide a logout
	return err
}

// apiVersions returns the versions of the API that a call with s is tried with, in this order: the configured one, which is
// empty if the configuration does not name the same host; the one that the session pins; and none, which Workfront serves with
// its newest. Workfront retires versions, and a session must not outlive the last one that this mount knew.
func apiVersions(configured string, s *ledger.Session) []string {
	if configured == "" {
		return slices.Compact([]string{s.Endpoint.APIVersion, ""})
	}
	return slices.Compact([]string{configured, s.Endpoint.APIVersion, ""})
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
