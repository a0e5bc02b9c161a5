// Package session lends out Workfront sessions. It keeps a ledger of them in Vault's storage, starts a session
// for a lease, and logs it out when its last lease is gone.
package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Broker issues leases on sessions and releases them. What must survive a crash is in storage; the Broker holds
// clients, and what it is doing at the moment. It is safe for concurrent use.
type Broker struct {
	now       func() time.Time
	logger    hclog.Logger
	endpoints *endpoints
	inFlight  sync.WaitGroup // exchanges that outlive their readers

	mu     sync.Mutex               // never held during a storage or network call
	held   map[string]chan struct{} // sessions that a call is working on; closed when it is done
	strays map[string]*Record       // sessions to be logged out that storage did not take
	closed bool
}

// NewBroker returns a Broker that reads the time from now and tells operators what they should know by logger.
func NewBroker(now func() time.Time, logger hclog.Logger) *Broker {
	return &Broker{
		now:       now,
		logger:    logger,
		endpoints: newEndpoints(now),
		held:      make(map[string]chan struct{}),
		strays:    make(map[string]*Record),
	}
}

// errClosed is the answer to readers that come while the plugin is being unloaded.
var errClosed = errors.New("the plugin is being unloaded; try again")

// begin counts an exchange as in flight. It is called once for each end of one, by inFlight.Done.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	b.inFlight.Add(1)
	return nil
}

// hold gives the caller the session of that ID to itself, among the calls of this process, until it calls the
// function that is returned.
func (b *Broker) hold(ctx context.Context, id string) (func(), error) {
	for {
		b.mu.Lock()
		busy, taken := b.held[id]
		if !taken {
			done := make(chan struct{})
			b.held[id] = done
			b.mu.Unlock()
			return func() {
				b.mu.Lock()
				delete(b.held, id)
				b.mu.Unlock()
				close(done)
			}, nil
		}
		b.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Reset drops what is kept for connections that the configuration no longer names.
func (b *Broker) Reset() { b.endpoints.reset() }
