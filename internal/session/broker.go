// Package session lends out Workfront sessions. It keeps a ledger of them in Vault's storage, starts a session
// for a lease or shares one among many, and logs it out when its last lease is gone.
package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// Options is what a Broker is made of. Now and Logger are required.
type Options struct {
	Now    func() time.Time
	Logger hclog.Logger // tells operators what they should know
	// Notify is told when the logout of a session was put off, and when it was done after all.
	Notify    func(ctx context.Context, e Event)
	UserAgent string // sent with each request to Workfront
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
	EventLogoutParked   EventKind = "logout-parked"
	EventLogoutFinished EventKind = "logout-finished"
)

// Broker issues leases on sessions and releases them. What must survive a crash is in storage; the Broker holds
// caches, and what it is doing at the moment. It is safe for concurrent use.
type Broker struct {
	now       func() time.Time
	logger    hclog.Logger
	notify    func(ctx context.Context, e Event)
	endpoints *endpoints
	inFlight  sync.WaitGroup // exchanges and checks that outlive their readers

	mu       sync.Mutex        // never held during a storage or network call
	sessions map[string]*entry // by session ID: those that a call works on, have several leases, or are shared now
	pools    map[string]*pool  // by Source.Share
	strays   map[stray]*Record // what is to be taken back or logged out, and storage did not take
	endings  endings
	warnedAt time.Time // when the log was last warned of a session that was parked
	closed   bool
}

// NewBroker returns a Broker.
func NewBroker(o Options) *Broker {
	b := &Broker{
		now:       o.Now,
		logger:    o.Logger,
		notify:    o.Notify,
		endpoints: newEndpoints(o.Now, o.UserAgent),
		sessions:  make(map[string]*entry),
		pools:     make(map[string]*pool),
		strays:    make(map[stray]*Record),
		endings:   endings{at: make(map[string]int)},
	}
	if b.notify == nil {
		b.notify = func(context.Context, Event) {}
	}
	return b
}

// ErrClosed is the answer to readers that come while the plugin is being unloaded.
var ErrClosed = errors.New("the plugin is being unloaded; try again")

// begin counts a call as in flight that outlives its reader. Each is ended by inFlight.Done.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beginLocked()
}

func (b *Broker) beginLocked() error {
	if b.closed {
		return ErrClosed
	}
	b.inFlight.Add(1)
	return nil
}

// Reset forgets which endpoints are down.
func (b *Broker) Reset() { b.endpoints.reset() }

// Probe connects to an endpoint anew.
func (b *Broker) Probe(ctx context.Context, e workfront.Endpoint) (*workfront.Greeting, error) {
	return b.endpoints.clients.Probe(ctx, e)
}

// Invalidate drops what memory holds of a storage entry that another node has written.
func (b *Broker) Invalidate(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if share, ok := strings.CutPrefix(key, currentPrefix); ok {
		delete(b.pools, share)
		return
	}
	for _, prefix := range []string{sessionPrefix, leasePrefix} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			if e := b.sessions[firstSegment(rest)]; e != nil {
				e.stale = true
				b.dropLocked(e)
			}
		}
	}
}

// Session returns what the ledger holds under that ID, or nil if the session is gone. The Record is a copy.
func (b *Broker) Session(ctx context.Context, storage logical.Storage, sessionID string) (*Record, error) {
	return ledger{storage}.get(ctx, sessionID)
}
