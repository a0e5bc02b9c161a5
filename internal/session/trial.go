package session

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Trial is a session that was started to prove settings, and that no ledger holds.
type Trial struct {
	// Stated: Workfront stated the lifetime of the session. Disbelieved: it stated one that is too long to be meant, so that
	// it counts as not stated.
	Stated, Disbelieved bool

	broker  *Broker
	tester  *Tester
	session *ledger.Session
	ended   func() // called by End
}

// Tester proves settings over connections of its own, and leaves no trace in what others use: it changes no limit of
// calls.
type Tester struct {
	broker   *Broker
	clients  *workfront.TrialClients
	observer func(workfront.Observation) // may be nil
}

// Tester returns a Tester, which the caller closes. observer, which may be nil, is told of each request, in the
// goroutine of the caller of the method that makes it.
func (b *Broker) Tester(observer func(workfront.Observation)) *Tester {
	return &Tester{broker: b, clients: b.clients.ForTrial(), observer: observer}
}

// Close frees what the Tester has used. It may be called again.
func (t *Tester) Close() { t.clients.Close() }

// Probe connects to an endpoint anew, and asks for nothing in particular. The calls that follow use the new connection.
func (t *Tester) Probe(ctx context.Context, e Endpoint) (*workfront.Greeting, error) {
	client, err := t.client(workfront.Endpoint{BaseURL: e.BaseURL, CACert: e.CACert})
	if err != nil {
		return nil, err
	}
	return client.Probe(ctx)
}

// client is a clientSource.
func (t *Tester) client(e workfront.Endpoint) (*workfront.Client, error) {
	client, err := t.clients.Client(e)
	if err != nil || t.observer == nil {
		return client, err
	}
	return client.Observed(t.observer), nil
}

// Try starts a session to prove settings. The caller ends it, once, if one is returned: with a
// *workfront.UnusableSessionError one is.
func (b *Broker) Try(ctx context.Context, src Source) (*Trial, error) {
	tester := b.Tester(nil)
	trial, err := tester.Try(ctx, src)
	if trial == nil {
		tester.Close()
		return nil, err
	}
	trial.ended = tester.Close
	return trial, err
}

// Try starts a session to prove settings. The caller ends it, once, if one is returned: with a
// *workfront.UnusableSessionError one is.
func (t *Tester) Try(ctx context.Context, src Source) (*Trial, error) {
	b := t.broker
	if err := b.begin(); err != nil {
		return nil, err
	}
	permit, cancel := context.WithTimeout(ctx, src.RequestTimeout)
	defer cancel()
	started, err := b.start(permit, src, nil, t.client)
	if unusable := (*workfront.UnusableSessionError)(nil); errors.As(err, &unusable) {
		started = unusable.Session
	}
	if started == nil {
		b.inFlight.Done()
		return nil, err
	}
	s := newSession(src, started)
	b.young.returned(s.ID())
	return &Trial{
		Stated: started.ExpiresIn > 0, Disbelieved: started.Disbelieved,
		broker: b, tester: t, session: s, ended: func() {},
	}, err
}

// Call makes a harmless call as the user of the session. It returns workfront.ErrSessionGone if the session is dead.
func (t *Trial) Call(ctx context.Context) error {
	client, err := t.client()
	if err != nil {
		return err
	}
	return client.Whoami(ctx, t.session.Token, []string{t.session.Endpoint.APIVersion}, t.session.UserID)
}

// Identify asks Workfront whose session it is. Nobody is known to have asked with such a session, so its failure means
// nothing.
func (t *Trial) Identify(ctx context.Context) (*workfront.Identity, error) {
	client, err := t.client()
	if err != nil {
		return nil, err
	}
	return client.Identify(ctx, t.session.Token, t.session.Endpoint.APIVersion)
}

func (t *Trial) client() (*workfront.Client, error) {
	return t.tester.client(workfront.Endpoint{
		BaseURL: t.session.Endpoint.BaseURL, CACert: t.session.Endpoint.CACert,
	})
}

// End logs the session out. If the ledger holds it for a lease, because Workfront returned one that is in use, it is left
// alone and inUse is true. If Workfront does not confirm the logout, that is stored as pending, so that nothing is left
// behind, and the error says why.
func (t *Trial) End(ctx context.Context, storage logical.Storage) (inUse bool, err error) {
	b, v, s := t.broker, t.broker.ledger.In(storage), t.session
	defer b.inFlight.Done()
	defer t.ended()
	h, err := v.Hold(ctx, s.ID())
	if err != nil {
		v.Owe(s.ID(), s)
		return false, err
	}
	defer h.Release()
	switch known := h.Session(); {
	case known == nil:
		h.Adopt(s)
	case h.Ending():
	case known.State == ledger.StateActive:
		return true, nil
	case h.Leased():
		return true, h.Record(ctx, known) // it was gone, and Workfront has returned it again
	}
	_, cause, err := b.end(ctx, v, h, attempt{End: ledger.End{Owed: true}, owed: true, force: true, client: t.tester.client})
	if err != nil {
		return false, err
	}
	return false, cause
}

// LogoutAgain logs out once more what End has logged out, to see what Workfront answers. Nothing is sent, and sent is
// false, if the ledger holds the session by now, because Workfront has returned it again.
func (t *Trial) LogoutAgain(ctx context.Context, storage logical.Storage) (sent bool, err error) {
	b, v := t.broker, t.broker.ledger.In(storage)
	if err := b.begin(); err != nil {
		return false, err
	}
	defer b.inFlight.Done()
	h, err := v.Hold(ctx, t.session.ID())
	if err != nil {
		return false, err
	}
	defer h.Release()
	if h.Session() != nil {
		return false, nil
	}
	// What Workfront says of it is what the caller asks for.
	return true, b.logoutWith(ctx, v, t.session, attempt{client: t.tester.client, certain: true})
}
