package session

import (
	"errors"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// downFor is how long an endpoint that failed a logout is taken to be down. Within it, sessions are parked without a
// try: a mass revocation during an outage would otherwise wait out the time limit for each of them.
const downFor = 15 * time.Second

// endpoints keeps one client for each endpoint, and knows which of them are down.
type endpoints struct {
	now       func() time.Time
	mu        sync.Mutex
	clients   map[workfront.Endpoint]*workfront.Client
	downUntil map[workfront.Endpoint]time.Time
}

func newEndpoints(now func() time.Time) *endpoints {
	return &endpoints{
		now:       now,
		clients:   make(map[workfront.Endpoint]*workfront.Client),
		downUntil: make(map[workfront.Endpoint]time.Time),
	}
}

// client returns the client for e.
func (p *endpoints) client(e workfront.Endpoint) (*workfront.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[e]; c != nil {
		return c, nil
	}
	c, err := workfront.NewClient(e, p.now)
	if err != nil {
		return nil, err
	}
	p.clients[e] = c
	return c, nil
}

// isDown tells whether e failed a logout a moment ago.
func (p *endpoints) isDown(e workfront.Endpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now().Before(p.downUntil[e])
}

// forgive forgets which endpoints are down.
func (p *endpoints) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.downUntil)
}

// observe learns from the outcome of a logout whether e is down.
func (p *endpoints) observe(e workfront.Endpoint, err error) {
	var unavailable *workfront.UnavailableError
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.As(err, &unavailable) {
		p.downUntil[e] = p.now().Add(downFor)
	} else {
		delete(p.downUntil, e)
	}
}

// reset forgets all clients and closes their idle connections, so that those to hosts that are no longer
// configured do not pile up. Calls under way are not disturbed.
func (p *endpoints) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		c.Close()
	}
	clear(p.clients)
	clear(p.downUntil)
}
