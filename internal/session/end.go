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
	// logoutTimeout is the whole time that a logout may take, its wait for a turn and retries included, so that a
	// revocation does not hold Vault up: it keeps a lock in the meantime that delays a step-down.
	logoutTimeout = 5 * time.Second
	logoutRetries = 2
	// pendingFor is how long a logout is retried after the first attempt that failed.
	pendingFor = 24 * time.Hour
)

// attempt says how a session is ended, and what for.
type attempt struct {
	ledger.End
	// owed: the logout is owed like a pending one, also past an assumed expiry. Otherwise it is the one attempt that a
	// session gets past its expiry.
	owed bool
	// force: it is sent even while the host is marked unavailable.
	force bool
	// client sends it; nil for the client that all calls to the host share.
	client clientSource
	// certain: Workfront is believed when it does not know the session, however young that is.
	certain bool
}

// fate is what happens to a session after an attempt to log it out.
type fate int

const (
	undecided     fate = iota // the attempt was cut off
	leased                    // there was no attempt: the session has a lease, or the ledger does not hold it
	loggedOut                 // or Workfront does not know it
	dropped                   // not logged out, and past its expiry or the time for retries
	logoutPending             // to be tried again
)

// fateOf decides what happens to s after an attempt that ended with cause, for revocations, operators, trials and
// maintenance alike. What Workfront itself answers past a session's expiry is final. Anything else says nothing of the
// session: no turn, a pause, no answer, an answer from something in between, or one that came before Workfront can have
// heard of it.
func fateOf(s *ledger.Session, owed bool, now time.Time, cause error) fate {
	pending := !s.PendingSince.IsZero()
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

// end logs out the session that the caller holds, after storage says that it is being ended, and does what fateOf
// decides: it removes the session from the ledger, or leaves its logout pending there. cause says why the session may
// still be alive. With err, nothing of that is certain, and the call can be repeated; until then the session is not
// issued.
func (b *Broker) end(ctx context.Context, v ledger.View, h *ledger.Held, a attempt) (f fate, cause, err error) {
	if h.LoggedOut() {
		return loggedOut, nil, b.remove(ctx, h)
	}
	s := h.Session()
	if s == nil {
		return leased, nil, nil
	}
	marked := !a.force && b.outages.isMarked(s.Endpoint.BaseURL)
	if marked {
		cause = errMarkedUnavailable
		if fateOf(s, a.owed, b.now(), cause) == logoutPending { // one write says both
			a.Since, a.Announced = b.now().Round(0), true
		}
	}
	if began, err := h.BeginEnd(ctx, a.End); err != nil {
		return undecided, nil, err
	} else if !began {
		return leased, nil, nil
	}
	if !marked {
		cause = b.logoutWith(ctx, v, s, a)
	}
	if cause != nil && ctx.Err() != nil {
		return undecided, nil, ctx.Err() // Vault is leaving; the revocation will be repeated
	}
	switch f = fateOf(h.Session(), a.owed, b.now(), cause); f {
	case logoutPending:
		return f, cause, b.setPending(ctx, h, s, cause)
	case loggedOut:
		h.SetLoggedOut()
	default:
		b.logger.Debug("session not logged out, but past its expiry or the time for retries", "session_id", s.ID(),
			"base_url", s.Endpoint.BaseURL, "error", cause)
	}
	return f, cause, b.remove(ctx, h)
}

// remove takes a session out of the ledger. The caller holds it.
func (b *Broker) remove(ctx context.Context, h *ledger.Held) error {
	id := h.Session().ID()
	if err := h.Remove(ctx); err != nil {
		return err
	}
	b.young.forget(id)
	return nil
}

// setPending stores that the logout of a session is pending. s is the session before the attempt. The log and the event
// come with the first failure that says more than that the session is too young.
func (b *Broker) setPending(ctx context.Context, h *ledger.Held, s *ledger.Session, cause error) error {
	announce := (s.PendingSince.IsZero() || s.Unannounced) && !errors.Is(cause, workfront.ErrGoneTooSoon)
	if err := h.SetPending(ctx, b.now().Round(0), announce); err != nil {
		return err
	}
	pending := h.Session()
	if announce {
		b.notePending(pending, cause)
		b.notify(ctx, event(EventLogoutPending, pending))
		return nil
	}
	b.logger.Debug("logout still pending", "session_id", s.ID(), "base_url", s.Endpoint.BaseURL, "error", cause)
	return nil
}

// logoutWith makes one attempt to log a session out at Workfront. Its error says why the session may still be alive.
func (b *Broker) logoutWith(ctx context.Context, v ledger.View, s *ledger.Session, a attempt) error {
	clientFor := a.client
	if clientFor == nil {
		clientFor = b.clients.Client
	}
	client, versions, err := b.client(ctx, v, s, clientFor)
	if err != nil {
		return err
	}
	sending, cancel := uncancelled(ctx, logoutTimeout)
	defer cancel()
	begun := b.now()
	err = client.Logout(sending, workfront.LogoutRequest{
		Token: s.Token, APIVersions: versions, MaxRetries: logoutRetries,
		Young: !a.certain && b.young.has(s), On2xx: func() { b.young.answered(s.ID()) },
	})
	b.observer.LogoutDone(err, b.now().Sub(begun))
	if ctx.Err() == nil {
		b.outages.observe(s.Endpoint.BaseURL, err)
	}
	b.logouts.add(s.ID()) // a failure may hide a logout
	return err
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

// client returns the client that calls with a session are made with, and the versions of the API that they try, in this
// order: the one in the configuration if that names the same host, the one that the session pins, and none, which
// Workfront serves with its newest. Workfront retires versions, and a session must not outlive the last one that this
// mount knew.
func (b *Broker) client(
	ctx context.Context, v ledger.View, s *ledger.Session, clientFor clientSource,
) (client *workfront.Client, versions []string, err error) {
	endpoint, configured, err := b.logoutEndpoint(ctx, v, s)
	if err != nil {
		return nil, nil, err
	}
	if configured != "" {
		versions = append(versions, configured)
	}
	if pinned := s.Endpoint.APIVersion; pinned != configured {
		versions = append(versions, pinned)
	}
	client, err = clientFor(endpoint)
	return client, slices.Compact(append(versions, "")), err
}

// uncancelled returns a context that ends after timeout, or at the deadline of ctx, but not when ctx is cancelled: a
// logout that is cut off can still be carried out, even after Workfront has returned the same session to another reader.
func uncancelled(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	limit := time.Now().Add(timeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(limit) {
		limit = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), limit)
}
