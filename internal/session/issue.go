package session

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// MinLife is the shortest rest of a session that is lent out: a lease is a second shorter, and must not be 0.
const MinLife = 2 * time.Second

// Source is what a session is started from.
type Source struct {
	Endpoint       Endpoint
	ClientID       string
	ClientSecret   string
	CustomerID     string
	UserID         string
	Signer         *workfront.Signer
	Role           string        // the role that it is for; "" for the defaults of the mount
	JWTTTL         time.Duration // life of the assertion
	SessionTTL     time.Duration // life of the session if Workfront states none
	RequestTimeout time.Duration // for the exchange, retries included
	MaxRetries     int           // further attempts after a failure that cannot have started a session

	// Share names whom the session is shared among; "" starts one for each lease.
	Share string
	// Fingerprint stands for all of the above that a shared session has to agree with to be handed out. It is made
	// once, because it is compared at each read.
	Fingerprint string
}

// Lease is one hold on a session.
type Lease struct {
	ID        string // names the lease within its session
	SessionID string
	Token     string
	TokenType string
	ExpiresAt time.Time // the end of the session, not of the lease

	id     leaseID
	record *Record
}

func newLease(id leaseID, r *Record, expiresAt time.Time) *Lease {
	return &Lease{
		ID: id.String(), SessionID: r.ID(), Token: r.Token, TokenType: r.TokenType, ExpiresAt: expiresAt,
		id: id, record: r,
	}
}

// Issue returns a lease on a session: on one of its own, or on the one that is shared at src.Share. Besides storage
// errors it returns those of workfront.Client.Exchange. When ctx ends, Issue returns, but an exchange that was begun is
// not cut off, because its session could not be known, and so not be ended: it is finished, recorded, and logged out if
// nobody waits for it any more.
func (b *Broker) Issue(ctx context.Context, storage logical.Storage, src Source) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if src.Share != "" {
		return b.share(ctx, ledger{storage}, src)
	}
	if err := b.begin(); err != nil {
		return nil, err
	}
	type result struct {
		lease *Lease
		err   error
	}
	results := make(chan result) // unbuffered: what nobody takes is known to be unwanted
	go func() {
		defer b.inFlight.Done()
		outliving := context.WithoutCancel(ctx)
		lease, err := b.start(outliving, storage, src, func() bool { return ctx.Err() == nil })
		select {
		case results <- result{lease, err}:
		case <-ctx.Done():
			if err == nil {
				b.takeBack(outliving, storage, lease.record, lease.id)
			}
		}
	}()
	select {
	case r := <-results:
		if r.err == nil && ctx.Err() != nil { // the reader left at this very moment
			b.takeBack(context.WithoutCancel(ctx), storage, r.lease.record, r.lease.id)
			return nil, ctx.Err()
		}
		return r.lease, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start starts a session for one lease, which wanted tells whether somebody still waits for.
func (b *Broker) start(ctx context.Context, storage logical.Storage, src Source, wanted func() bool) (*Lease, error) {
	id := newLeaseID()
	var fresh, record *Record
	err := b.untilLiving(ctx, src.RequestTimeout, wanted, func(began int) (err error) {
		if fresh, err = b.exchange(ctx, src); err != nil {
			return err
		}
		fresh.Lease = id
		record, err = b.enter(ctx, ledger{storage}, fresh, began)
		return err
	})
	if err != nil {
		return nil, err
	}
	lease := newLease(id, record, earlier(fresh.ExpiresAt, record.ExpiresAt))
	if err := b.longEnough(lease.ExpiresAt); err != nil {
		b.takeBack(ctx, storage, record, id)
		return nil, err
	}
	return lease, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// longEnough refuses what Workfront started with too little of a life.
func (b *Broker) longEnough(expiresAt time.Time) error {
	if left := expiresAt.Sub(b.now()); left < MinLife {
		return &workfront.UnavailableError{Reason: fmt.Sprintf("it answered with a session that has %s left, too little to be lent out", left.Round(time.Second))}
	}
	return nil
}

// exchange starts a session at Workfront. The Record is not in the ledger yet.
func (b *Broker) exchange(ctx context.Context, src Source) (*Record, error) {
	client, err := b.endpoints.clients.Client(src.Endpoint.Endpoint)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	session, err := client.Exchange(ctx, workfront.ExchangeRequest{
		ClientID:     src.ClientID,
		ClientSecret: src.ClientSecret,
		Assertion: func() (string, error) {
			return src.Signer.Sign(workfront.Claims{Issuer: src.CustomerID, Subject: src.UserID, ExpiresAt: b.now().Add(src.JWTTTL)})
		},
		MaxRetries: src.MaxRetries,
		Timeout:    src.RequestTimeout,
	})
	if err != nil {
		return nil, err
	}
	life, stated := session.ExpiresIn, session.ExpiresIn > 0
	if !stated {
		life = src.SessionTTL
	}
	return &Record{
		Version:   recordVersion,
		Token:     session.Token,
		TokenType: session.TokenType,
		Endpoint:  src.Endpoint,
		Role:      src.Role,
		UserID:    src.UserID,
		IssuedAt:  session.SentAt,
		ExpiresAt: session.SentAt.Add(life),
		Stated:    stated,
		State:     StateActive,
	}, nil
}

// enter enters a session that Workfront has handed out into the ledger, with fresh.Lease as a lease on it, and returns
// what the ledger now holds. If it cannot, it ends the session, unless another lease holds it. began is what beginExchange
// returned before the session was handed out.
func (b *Broker) enter(ctx context.Context, l ledger, fresh *Record, began int) (*Record, error) {
	id := fresh.ID()
	// Workfront may have handed out a session that lives already.
	record, err := b.attach(ctx, l, id, fresh.Lease, func(known *Record) bool { return !b.restates(known, fresh) })
	if err != nil {
		b.takeBack(ctx, l.storage, record, fresh.Lease)
		return nil, err
	}
	if record != nil {
		return record, nil
	}
	e, err := b.hold(ctx, l, id)
	if err != nil {
		// Whether another lease holds this session cannot be told now, so it must not be logged out now.
		b.stray(fresh, fresh.Lease)
		return nil, err
	}
	defer b.letGo(e)
	return b.enterHeld(ctx, l, e, fresh, began)
}

// enterHeld is enter for a caller that holds the session. fresh.Lease may be none.
func (b *Broker) enterHeld(ctx context.Context, l ledger, e *entry, fresh *Record, began int) (*Record, error) {
	if b.endedSince(e.id, began) {
		return nil, errEnded
	}
	if e.record == nil {
		if err := l.create(ctx, fresh); err != nil {
			e.failed()
			b.abandon(ctx, l, fresh, err)
			return nil, err
		}
		e.record = fresh
	} else {
		updated, err := b.reissue(ctx, l, e.record, fresh)
		if err != nil {
			e.failed()
			b.undoReissue(ctx, l, e, fresh)
			return nil, err
		}
		e.record = updated
	}
	if fresh.Lease != (leaseID{}) {
		e.leases[fresh.Lease] = struct{}{}
	}
	b.setLeaving(e, false) // Workfront has handed it out, so it lives
	return e.record, nil
}

// restatement is how much a new statement of a session's end has to differ from the known one to count: less than that is
// the rounding and the travel of the answer.
const restatement = time.Minute

// restates tells whether fresh says something new of a session that the ledger holds. A session does not get younger by
// being handed out again: a new statement counts, a new assumption only where the old one has proved wrong.
func (b *Broker) restates(known, fresh *Record) bool {
	if !fresh.Stated {
		return known.ended(b.now().Add(MinLife))
	}
	return !known.Stated || known.ExpiresAt.Sub(fresh.ExpiresAt).Abs() > restatement
}

// reissue adds a lease, if there is one, to a session that the ledger holds already.
func (b *Broker) reissue(ctx context.Context, l ledger, known, fresh *Record) (*Record, error) {
	id := known.ID()
	updated := *known
	earlier := fresh.Stated && fresh.ExpiresAt.Before(known.ExpiresAt) // always counts: no lease may outlive it
	if earlier || b.restates(known, fresh) {
		updated.ExpiresAt, updated.Stated = fresh.ExpiresAt, fresh.Stated
	}
	if known.State == StateLogoutPending {
		updated.State, updated.ParkedAt = StateActive, time.Time{}
	}
	moved := expiryKey(id, updated.ExpiresAt) != expiryKey(id, known.ExpiresAt)
	if moved {
		if err := l.mark(ctx, expiryKey(id, updated.ExpiresAt)); err != nil {
			return nil, err
		}
	}
	if fresh.Lease != (leaseID{}) {
		if err := l.addLease(ctx, id, fresh.Lease); err != nil {
			return nil, err
		}
	}
	if updated != *known {
		if err := l.put(ctx, &updated); err != nil {
			return nil, err
		}
	}
	// What stands in an index without cause is dropped when it is met, so a failure here does no harm.
	if moved {
		_ = l.delete(ctx, expiryKey(id, known.ExpiresAt))
	}
	if known.State == StateLogoutPending {
		_ = l.delete(ctx, parkedPrefix+id)
	}
	return &updated, nil
}

// undoReissue takes a lease off again that storage may or may not have taken.
func (b *Broker) undoReissue(ctx context.Context, l ledger, e *entry, fresh *Record) {
	err := b.reload(ctx, l, e)
	if err == nil {
		err = b.releaseHeld(ctx, l, e, fresh.Lease)
	}
	if err != nil {
		e.failed()
		b.stray(fresh, fresh.Lease)
		b.logger.Error("a lease that was not handed out could not be taken back; it is kept in memory to be tried again", "session_id", e.id, "error", err)
	}
}
