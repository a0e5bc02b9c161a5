package session

import (
	"context"
	"slices"

	"github.com/hashicorp/vault/sdk/logical"
)

// IDs returns the IDs of all sessions in the ledger, sorted.
func (b *Broker) IDs(ctx context.Context, storage logical.Storage) ([]string, error) {
	ids, err := ledger{storage}.list(ctx, sessionPrefix)
	slices.Sort(ids)
	return ids, err
}

// Leases returns how many leases a session has.
func (b *Broker) Leases(ctx context.Context, storage logical.Storage, r *Record) (int, error) {
	b.mu.Lock()
	if e := b.sessions[r.ID()]; e != nil && e.held == nil && e.loaded && !e.stale {
		n := len(e.leases)
		b.mu.Unlock()
		return n, nil
	}
	b.mu.Unlock()
	leases, err := ledger{storage}.leases(ctx, r)
	return len(leases), err
}

// Terminate logs a session out at Workfront now, whoever leases it; the leases revoke cleanly afterwards. If Workfront does
// not confirm the logout, the session is parked and the error says why. A session that is not in the ledger is no error.
func (b *Broker) Terminate(ctx context.Context, storage logical.Storage, sessionID string) error {
	l := ledger{storage}
	e, err := b.hold(ctx, l, sessionID)
	if err != nil {
		return err
	}
	defer b.letGo(e)
	if e.record == nil {
		return nil
	}
	cause, err := b.finish(ctx, l, e, b.logoutNow)
	if err != nil {
		return err
	}
	return cause
}

// Trial is a session that was started to prove settings, and that no ledger holds.
type Trial struct {
	broker *Broker
	record *Record
}

// Try starts a session to prove settings. The caller ends it, once.
func (b *Broker) Try(ctx context.Context, src Source) (*Trial, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	record, err := b.exchange(ctx, src)
	if err != nil {
		b.inFlight.Done()
		return nil, err
	}
	return &Trial{b, record}, nil
}

// Call makes a harmless call as the user of the session. It returns workfront.ErrSessionGone if the session is dead.
func (t *Trial) Call(ctx context.Context) error {
	client, err := t.broker.endpoints.clients.Client(t.record.Endpoint.Endpoint)
	if err != nil {
		return err
	}
	return client.Whoami(ctx, t.record.Token, t.record.Endpoint.APIVersion, t.record.UserID)
}

// End logs the session out. If the ledger holds it for a lease, because Workfront has handed out one that is in use, it is
// left alone and inUse is true. If Workfront does not confirm the logout, the session is parked, so that nothing is left
// behind, and the error says why.
func (t *Trial) End(ctx context.Context, storage logical.Storage) (inUse bool, err error) {
	b, l := t.broker, ledger{storage}
	defer b.inFlight.Done()
	e, err := b.hold(ctx, l, t.record.ID())
	if err != nil {
		b.stray(t.record, leaseID{})
		return false, err
	}
	defer b.letGo(e)
	if e.record != nil && e.record.State == StateActive {
		return true, nil
	}
	if e.record == nil {
		e.record = t.record // not in storage yet: it gets there if it has to be parked
	}
	cause, err := b.finish(ctx, l, e, b.logoutNow)
	if err != nil {
		b.stray(t.record, leaseID{})
		return false, err
	}
	return false, cause
}
