package session

import (
	"errors"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// How long an endpoint that failed a logout is taken to be down: twice as long after each further failure. Within that
// time sessions are parked without a try. A mass revocation during an outage would otherwise wait out the time limit for
// each of them, and if an endpoint hangs, even a try now and then adds up. The longest is less than what lies between two
// runs of the periodic job: a parked session that fails each time must not keep the others from being tried.
const (
	firstDown   = 15 * time.Second
	longestDown = 45 * time.Second
)

// endpoints keeps one client for each endpoint, and knows which of them are down.
type endpoints struct {
	now     func() time.Time
	mu      sync.Mutex
	clients map[workfront.Endpoint]*workfront.Client
	outages map[workfront.Endpoint]outage
}

// outage is what is known of an endpoint that failed its last logout.
type outage struct {
	lasts time.Duration // as it is reckoned for now
	until time.Time
}

func newEndpoints(now func() time.Time) *endpoints {
	return &endpoints{
		now:     now,
		clients: make(map[workfront.Endpoint]*workfront.Client),
		outages: make(map[workfront.Endpoint]outage),
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
	return p.now().Before(p.outages[e].until)
}

// forgive has all endpoints tried again now.
func (p *endpoints) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e, o := range p.outages {
		o.until = time.Time{}
		p.outages[e] = o
	}
}

// observe learns from the outcome of a logout whether e is down.
func (p *endpoints) observe(e workfront.Endpoint, err error) {
	var unavailable *workfront.UnavailableError
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.As(err, &unavailable) {
		delete(p.outages, e)
		return
	}
	o := p.outages[e]
	if !p.now().Before(o.until) { // else it failed other logouts at the same time
		o.lasts = min(max(firstDown, 2*o.lasts), longestDown)
		o.until = p.now().Add(o.lasts)
	}
	p.outages[e] = o
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
	clear(p.outages)
}
