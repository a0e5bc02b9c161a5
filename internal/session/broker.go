// Package session issues Workfront sessions. It starts a session for a lease, or shares one among many, records it in
// the ledger, and logs it out when its last lease is released.
package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Options is what a Broker is made of. Now and Logger are required.
type Options struct {
	Now       func() time.Time
	Logger    hclog.Logger // tells operators what they should know
	UserAgent string       // of the requests to Workfront
	// Trust returns what the configuration trusts now, or nil if there is none. It is asked at each logout.
	Trust func(ctx context.Context, storage logical.Storage) (*Trust, error)
	// Notify is told when the logout of a session became pending, and when it succeeded after all.
	Notify func(ctx context.Context, e Event)
	// Observer is told what came of calls to Workfront.
	Observer Observer
	// CheckAgain is how long after Workfront has said that a shared session is gone it is asked once more; 2 seconds by
	// default.
	CheckAgain time.Duration
}

// Event is something that happened to a session and that somebody may want to act on.
type Event struct {
	Kind      EventKind
	SessionID string
	Role      string
	BaseURL   string
}

// EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventLogoutPending  EventKind = "logout-pending"
	EventLogoutFinished EventKind = "logout-finished"
)

// Broker issues leases on sessions and releases them. What must survive a crash is in the ledger; the Broker holds caches,
// and what it is doing at the moment. It is safe for concurrent use.
type Broker struct {
	now      func() time.Time
	logger   hclog.Logger
	trust    func(ctx context.Context, storage logical.Storage) (*Trust, error)
	notify   func(ctx context.Context, e Event)
	observer Observer
	clients  *workfront.Clients
	outages  outages
	ledger   *ledger.Ledger
	trusts   trusts
	logouts  logoutLog
	young    *youngSessions
	runs     runs
	notices  notices
	inFlight sync.WaitGroup         // what outlives the request that began it
	closing  chan struct{}          // closed with closed
	again    time.Duration          // Options.CheckAgain
	hints    []*locksutil.LockEntry // see lockHint

	// Locks are taken in this order: share.mu, Broker.mu, those of the ledger. None is held during a call to storage or
	// to Workfront.
	mu     sync.Mutex
	shares map[string]*share // by name
	closed bool
}

// NewBroker returns a Broker.
func NewBroker(o Options) *Broker {
	b := &Broker{
		now:      o.Now,
		logger:   o.Logger,
		trust:    o.Trust,
		notify:   o.Notify,
		observer: o.Observer,
		outages:  newOutages(o.Now),
		ledger:   ledger.New(),
		young:    newYoungSessions(o.Now),
		closing:  make(chan struct{}),
		again:    o.CheckAgain,
		shares:   make(map[string]*share),
		hints:    locksutil.CreateLocks(),
	}
	b.clients = workfront.NewClients(workfront.ClientsOptions{
		Now: o.Now, UserAgent: o.UserAgent, Forgotten: b.outages.forget,
	})
	b.logouts.init()
	if b.again == 0 {
		b.again = checkAgain
	}
	if b.notify == nil {
		b.notify = func(context.Context, Event) {}
	}
	if b.observer == nil {
		b.observer = unobserved{}
	}
	if b.trust == nil {
		b.trust = func(context.Context, logical.Storage) (*Trust, error) { return nil, nil }
	}
	return b
}

// ErrClosed is returned while the plugin shuts down. Callers may retry.
var ErrClosed = errors.New("the plugin is being unloaded; try again")

// begin counts a call as in flight that outlives its request. Each is ended by inFlight.Done.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.inFlight.Add(1)
	return nil
}

// Invalidate drops what memory holds of a storage entry that another node has written.
func (b *Broker) Invalidate(key string) {
	if name, ok := ledger.ShareOf(key); ok {
		if s := b.dropShare(name); s != nil {
			s.setCurrent("", "")
		}
		return
	}
	if ledger.IsTrust(key) {
		b.trusts.drop()
		return
	}
	b.ledger.Invalidate(key)
}

// ConfigWritten drops what was learned of hosts under another configuration: by which method and version of the API a
// session can be logged out there.
func (b *Broker) ConfigWritten() { b.clients.ForgetWorked() }

func event(kind EventKind, s *ledger.Session) Event {
	return Event{Kind: kind, SessionID: s.ID(), Role: s.Role, BaseURL: s.Endpoint.BaseURL}
}
