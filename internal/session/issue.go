package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// MinLifetime is the shortest remaining lifetime of a session that is issued: a lease is a second shorter, and must not
// be 0.
const MinLifetime = 2 * time.Second

// Lease is one hold on a session.
type Lease struct {
	LeaseRef
	Token     string
	TokenType string
	ExpiresAt time.Time // of the session, not of the lease
	// Left is what was left of the session when it was issued: MinLifetime or more, however long the caller takes.
	Left time.Duration

	id      ledger.LeaseID
	session *ledger.Session
}

// LeaseRef is what the release of a lease needs.
type LeaseRef struct {
	ID        string // names the lease within its session
	SessionID string
	BaseURL   string // the host that issued the session; for the log alone, may be empty
}

func newLease(id ledger.LeaseID, s *ledger.Session, expiresAt time.Time) *Lease {
	return &Lease{
		LeaseRef: LeaseRef{ID: id.String(), SessionID: s.ID(), BaseURL: s.Endpoint.BaseURL},
		Token:    s.Token, TokenType: s.TokenType, ExpiresAt: expiresAt,
		id: id, session: s,
	}
}

// Issue returns a lease on a session: on one of its own, or on the one that the readers of src.Role share. Besides storage
// errors it returns those of workfront.Client.Exchange, and ErrClosed. The reader waits for src.RequestTimeout at most. An
// exchange that was sent is not cut off when its reader leaves or has waited long enough, because its session could not be
// known, and so not be logged out: it is finished and recorded. Then a session of the reader's own is logged out; a shared
// one is there for the next reader.
func (b *Broker) Issue(ctx context.Context, storage logical.Storage, src Source) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	issue := b.issueOwn
	if src.Shared {
		issue = b.share(shareName(src.Role)).issue
	}
	lease, err := issue(ctx, b.ledger.In(storage), src)
	if err != nil {
		b.noteReadFailed(ctx, src.Role, err)
	}
	return lease, err
}

// issueOwn starts a session for one lease. One goroutine does the work, because the reader may leave before it is done.
func (b *Broker) issueOwn(ctx context.Context, v ledger.View, src Source) (*Lease, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	permit, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	w := &wait{done: make(chan struct{})}
	go func() {
		defer b.inFlight.Done()
		defer cancel()
		outliving := context.WithoutCancel(ctx)
		w.lease, w.err = b.startOwn(outliving, permit, v, src, w)
		if !w.settle() && w.err == nil {
			b.releaseUndelivered(outliving, v, w.lease)
		}
		close(w.done)
	}()
	return w.await(ctx, permit)
}

// startOwn starts a session at Workfront and records it with a lease.
func (b *Broker) startOwn(ctx, permit context.Context, v ledger.View, src Source, w *wait) (*Lease, error) {
	var fresh, recorded *ledger.Session
	var lease ledger.LeaseID
	always := func() bool { return true } // as long as permit lets it
	err := b.untilLive(permit, always, func(began *logoutMark) (err error) {
		if fresh, err = b.exchange(ctx, permit, v, src, w.sent); err != nil {
			return err
		}
		w.answered()
		b.ledger.Keep(fresh.ID()) // from the record to the lease
		defer b.ledger.Drop(fresh.ID())
		lease = ledger.NewOwnLease()
		if recorded, err = b.record(ctx, v, fresh, lease, began); err != nil || recorded.Lease == lease {
			return err
		}
		recorded, lease, err = b.join(ctx, v, recorded)
		return err
	})
	if err != nil {
		return nil, err
	}
	issued := newLease(lease, recorded, earlier(fresh.ExpiresAt, recorded.ExpiresAt))
	issued.Left = issued.ExpiresAt.Sub(b.now())
	if err := checkLifetime(issued.Left); err != nil {
		b.releaseUndelivered(ctx, v, issued)
		return nil, err
	}
	return issued, nil
}

// join adds a lease to a session that Workfront returned although the ledger holds it.
func (b *Broker) join(
	ctx context.Context, v ledger.View, known *ledger.Session,
) (*ledger.Session, ledger.LeaseID, error) {
	session, lease, err := v.Attach(ctx, known.ID(), func(*ledger.Session) bool { return true })
	if session == nil {
		return nil, lease, errLoggedOut // with its last lease, a moment ago
	}
	if err != nil {
		b.releaseUndelivered(ctx, v, newLease(lease, session, session.ExpiresAt))
	}
	if errors.Is(err, ledger.ErrMoved) {
		err = errLoggedOut
	}
	return session, lease, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// checkLifetime returns an error if less than MinLifetime is left of a session.
func checkLifetime(left time.Duration) error {
	if left < MinLifetime {
		return &workfront.UnavailableError{
			Reason: fmt.Sprintf("it returned a session that expires in %s, too soon to be issued", left.Truncate(100*time.Millisecond)),
		}
	}
	return nil
}

// exchange starts a session at Workfront, which is not in the ledger yet, but whose trust is. Nothing is sent once permit has
// ended; what was sent has src.RequestTimeout of its own.
func (b *Broker) exchange(
	ctx, permit context.Context, v ledger.View, src Source, sent func(),
) (*ledger.Session, error) {
	trust, err := b.keepTrust(ctx, v, src.Endpoint.CACert)
	if err != nil {
		return nil, err
	}
	began := b.logouts.now()
	b.clients.SetMaxConnections(src.Endpoint.BaseURL, src.MaxConnections)
	started, err := b.start(permit, src, sent, b.clients.Client)
	if err != nil {
		b.observer.ExchangeFailed(src.Role, err)
		if unusable := (*workfront.UnusableSessionError)(nil); errors.As(err, &unusable) {
			s := newSession(src, unusable.Session)
			s.Trust, s.Endpoint.CACert = trust, ""
			b.endUnusable(ctx, v, s, began)
		}
		return nil, err
	}
	s := newSession(src, started)
	s.Trust, s.Endpoint.CACert = trust, ""
	b.young.returned(s.ID())
	return s, nil
}

// start is exchange before the session is one of the ledger's, with whatever limit of calls the host has.
func (b *Broker) start(
	permit context.Context, src Source, sent func(), clientFor clientSource,
) (*workfront.Session, error) {
	client, err := clientFor(src.endpoint())
	if err != nil {
		return nil, err
	}
	begun := b.now()
	started, err := client.Exchange(permit, workfront.ExchangeRequest{
		ClientID:     src.ClientID,
		ClientSecret: src.ClientSecret,
		Assertion: func() (string, error) {
			return src.Signer.Sign(workfront.Claims{
				Issuer: src.CustomerID, Subject: src.UserID, ExpiresAt: b.now().Add(src.JWTTTL),
			})
		},
		MaxRetries: src.MaxRetries,
		Timeout:    src.RequestTimeout,
		OnSend:     sent,
	})
	b.observer.ExchangeDone(err, b.now().Sub(begun))
	if err != nil {
		return nil, err
	}
	if started.Disbelieved {
		b.noteDisbelieved(src.Role)
	}
	return started, nil
}

func newSession(src Source, started *workfront.Session) *ledger.Session {
	lifetime, stated := started.ExpiresIn, started.ExpiresIn > 0
	if !stated {
		lifetime = src.SessionTTL
	}
	return ledger.NewSession(ledger.Session{
		Token:     started.Token,
		TokenType: started.TokenType,
		Endpoint:  src.Endpoint,
		SecretID:  src.SecretID,
		Role:      src.Role,
		UserID:    src.UserID,
		IssuedAt:  started.SentAt,
		ExpiresAt: started.SentAt.Round(0).Add(lifetime),
		Lifetime:  lifetime,
		Stated:    stated,
	})
}

// wait is a reader who waits for a session of its own, and the goroutine that starts it.
type wait struct {
	phase   atomic.Int32
	settled atomic.Bool // the goroutine has delivered, or the reader has left: whichever was first

	done  chan struct{} // closed when lease and err are there
	lease *Lease
	err   error
}

const (
	phaseQueued int32 = iota
	phaseSent
	phaseAnswered
)

func (w *wait) sent()     { w.phase.Store(phaseSent) }
func (w *wait) answered() { w.phase.Store(phaseAnswered) }

// settle tells whether the caller is the first of the two.
func (w *wait) settle() bool { return w.settled.CompareAndSwap(false, true) }

// await returns what the goroutine delivers, or why the reader does not wait for it any more.
func (w *wait) await(ctx, permit context.Context) (*Lease, error) {
	select {
	case <-w.done:
		return w.lease, w.err
	case <-permit.Done():
	}
	var err error
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case w.phase.Load() == phaseSent:
		err = errNoAnswer()
	}
	if err != nil && w.settle() {
		return nil, err
	}
	// Nothing is sent any more, or the answer has come: what is left is up to storage.
	select {
	case <-w.done:
		return w.lease, w.err
	case <-ctx.Done():
		if w.settle() {
			return nil, ctx.Err()
		}
		<-w.done
		return w.lease, w.err
	}
}

// errNoAnswer is for a reader who has waited long enough for an exchange that was sent.
func errNoAnswer() error {
	return fmt.Errorf("exchange jwt: %w", &workfront.UnavailableError{
		Reason: "it did not answer in the time allowed (request_timeout)", Transient: true, Err: context.DeadlineExceeded,
	})
}

// isCancelled tells a call that its caller has given up from one that failed.
func isCancelled(err error) bool { return errors.Is(err, context.Canceled) }
