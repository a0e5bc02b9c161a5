package session

import (
	"context"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/hashicorp/go-uuid"
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
	Key            *rsa.PrivateKey
	Role           string        // the role that it is for; "" for the defaults of the mount
	JWTTTL         time.Duration // life of the assertion
	SessionTTL     time.Duration // life of the session if Workfront states none
	RequestTimeout time.Duration // for the exchange, retries included
	MaxRetries     int           // further attempts after a failure that cannot have started a session
}

// Lease is one hold on a session.
type Lease struct {
	ID        string // names the lease within its session
	SessionID string
	Token     string
	TokenType string
	ExpiresAt time.Time // the end of the session, not of the lease
}

// Issue starts a session and returns a lease on it. Besides storage errors it returns those of
// workfront.Client.Exchange. When ctx ends, Issue returns, but an exchange that was begun is not cut off, because
// its session could not be known, and so not be ended: it is finished, recorded, and logged out.
func (b *Broker) Issue(ctx context.Context, storage logical.Storage, src Source) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
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
		lease, err := b.start(outliving, storage, src)
		select {
		case results <- result{lease, err}:
		case <-ctx.Done():
			if err != nil {
				return
			}
			if err := b.Release(outliving, storage, lease.SessionID, lease.ID); err != nil {
				b.logger.Error("a session whose reader has left could not be logged out", "session_id", lease.SessionID, "error", err)
			}
		}
	}()
	select {
	case r := <-results:
		return r.lease, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start exchanges an assertion for a session and records a lease on it.
func (b *Broker) start(ctx context.Context, storage logical.Storage, src Source) (*Lease, error) {
	leaseID, err := uuid.GenerateUUID()
	if err != nil {
		return nil, fmt.Errorf("name lease: %w", err)
	}
	session, err := b.exchange(ctx, src)
	if err != nil {
		return nil, err
	}
	life, stated := session.ExpiresIn, session.ExpiresIn > 0
	if !stated {
		life = src.SessionTTL
	}
	record, err := b.record(ctx, ledger{storage}, &Record{
		Version:   recordVersion,
		Token:     session.Token,
		Endpoint:  src.Endpoint,
		Role:      src.Role,
		UserID:    src.UserID,
		IssuedAt:  session.SentAt,
		ExpiresAt: session.SentAt.Add(life),
		Stated:    stated,
		State:     StateActive,
		Lease:     leaseID,
	})
	if err != nil {
		return nil, err
	}
	lease := &Lease{
		ID:        leaseID,
		SessionID: record.ID(),
		Token:     session.Token,
		TokenType: session.TokenType,
		ExpiresAt: record.ExpiresAt,
	}
	if left := record.ExpiresAt.Sub(b.now()); left < MinLife {
		if err := b.Release(ctx, storage, lease.SessionID, lease.ID); err != nil {
			return nil, err
		}
		return nil, &workfront.UnavailableError{Reason: fmt.Sprintf("it answered with a session that has %s left, too little to be lent out", left.Round(time.Second))}
	}
	return lease, nil
}

func (b *Broker) exchange(ctx context.Context, src Source) (*workfront.Session, error) {
	client, err := b.endpoints.client(src.Endpoint.Endpoint)
	if err != nil {
		return nil, err
	}
	assertion, err := workfront.Sign(src.Key, workfront.Claims{
		Issuer:    src.CustomerID,
		Subject:   src.UserID,
		ExpiresAt: b.now().Add(src.JWTTTL),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	return client.Exchange(ctx, workfront.ExchangeRequest{
		ClientID:     src.ClientID,
		ClientSecret: src.ClientSecret,
		Assertion:    assertion,
		MaxRetries:   src.MaxRetries,
	})
}

// record enters a session that Workfront has handed out, with fresh.Lease as a lease on it, and returns what the
// ledger now holds. If it cannot, it ends the session.
func (b *Broker) record(ctx context.Context, l ledger, fresh *Record) (*Record, error) {
	id := fresh.ID()
	release, err := b.hold(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	known, err := l.get(ctx, id)
	if err != nil {
		// Whether another lease holds this session cannot be told now, so it must not be logged out now.
		b.stray(fresh)
		return nil, err
	}
	if known == nil {
		if err := l.create(ctx, fresh); err != nil {
			b.abandon(ctx, l, fresh, err)
			return nil, err
		}
		return fresh, nil
	}
	updated, err := b.reissue(ctx, l, known, fresh)
	if err != nil {
		// What the ledger holds now, with or without this lease, is put right by taking the lease back.
		if releaseErr := b.release(ctx, l, id, fresh.Lease); releaseErr != nil {
			b.logger.Error("a lease that was not handed out stays on its session until that ends", "session_id", id, "error", releaseErr)
		}
		return nil, err
	}
	return updated, nil
}

// reissue adds a lease to a session that the ledger holds already: Workfront has handed it out again.
func (b *Broker) reissue(ctx context.Context, l ledger, known, fresh *Record) (*Record, error) {
	id := known.ID()
	updated := *known
	// A session does not get younger by being handed out again: a new statement counts, a new assumption only
	// where the old one has proved wrong.
	if fresh.Stated || known.ended(b.now().Add(MinLife)) {
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
	if err := l.addLease(ctx, id, fresh.Lease); err != nil {
		return nil, err
	}
	if err := l.put(ctx, &updated); err != nil {
		return nil, err
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
