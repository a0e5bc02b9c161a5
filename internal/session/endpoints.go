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

// endpoints has the clients of all endpoints, and knows which of them are down.
type endpoints struct {
	now     func() time.Time
	clients *workfront.Clients
	mu      sync.Mutex
	outages map[workfront.Endpoint]outage
}

// outage is what is known of an endpoint that failed its last logout.
type outage struct {
	lasts time.Duration // as it is reckoned for now
	until time.Time
}

func newEndpoints(now func() time.Time, userAgent string) *endpoints {
	return &endpoints{
		now:     now,
		clients: workfront.NewClients(workfront.ClientsOptions{Now: now, UserAgent: userAgent}),
		outages: make(map[workfront.Endpoint]outage),
	}
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
	var busy *workfront.BusyError
	if errors.As(err, &busy) {
		return // it was not called
	}
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

// reset forgets which endpoints are down.
func (p *endpoints) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.outages)
}
