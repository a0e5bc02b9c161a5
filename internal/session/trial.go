package session

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Trial is a session that was started to prove settings, and that no ledger holds.
type Trial struct {
	broker  *Broker
	session *ledger.Session
}

// Try starts a session to prove settings. The caller ends it, once.
func (b *Broker) Try(ctx context.Context, src Source) (*Trial, error) {
	if err := b.begin(); err != nil {
		return nil, err
	}
	permit, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	started, err := b.exchange(permit, src, nil)
	if err != nil {
		b.inFlight.Done()
		return nil, err
	}
	return &Trial{b, started}, nil
}

// Call makes a harmless call as the user of the session. It returns workfront.ErrSessionGone if the session is dead.
func (t *Trial) Call(ctx context.Context) error {
	client, err := t.broker.clients.Client(workfront.Endpoint{
		BaseURL: t.session.Endpoint.BaseURL, CACert: t.session.Endpoint.CACert,
	})
	if err != nil {
		return err
	}
	return client.Whoami(ctx, t.session.Token, t.session.Endpoint.APIVersion, t.session.UserID)
}

// End logs the session out. If the ledger holds it for a lease, because Workfront returned one that is in use, it is left
// alone and inUse is true. If Workfront does not confirm the logout, that is stored as pending, so that nothing is left
// behind, and the error says why.
func (t *Trial) End(ctx context.Context, storage logical.Storage) (inUse bool, err error) {
	b, l, s := t.broker, ledger.New(storage), t.session
	defer b.inFlight.Done()
	h, err := b.hold(ctx, l, s.ID())
	if err != nil {
		b.owe(s, ledger.LeaseID{})
		return false, err
	}
	defer b.letGo(h)
	var cause error
	switch {
	case h.session == nil:
		cause, err = b.endUnstored(ctx, l, h, s, b.logoutNow)
	case h.session.State == ledger.StateActive:
		return true, nil
	default:
		cause, err = b.end(ctx, l, h, endingUnleased, b.logoutNow)
	}
	if err != nil {
		b.owe(s, ledger.LeaseID{})
		return false, err
	}
	return false, cause
}

// Probe connects to an endpoint anew, and asks for nothing in particular.
func (b *Broker) Probe(ctx context.Context, e ledger.Endpoint) (*workfront.Greeting, error) {
	return b.clients.Probe(ctx, workfront.Endpoint{BaseURL: e.BaseURL, CACert: e.CACert})
}
