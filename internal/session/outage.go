package session

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// How long a host that failed a logout is marked unavailable: twice as long after each further failure. Within that time
// logouts are pending without a try. A mass revocation during an outage would otherwise wait out the time limit for each of
// them, and if a host hangs, even a try now and then adds up. The longest is less than what lies between two runs of
// maintenance: a pending logout that fails each time must not keep the others from being tried.
const (
	firstOutage   = 15 * time.Second
	longestOutage = 45 * time.Second
	// forgetOutage is how long after its last failure a host is forgotten: nothing may be logged out there again.
	forgetOutage = 10 * time.Minute
)

// errMarkedUnavailable stands for a logout that was not tried.
var errMarkedUnavailable error = &workfront.UnavailableError{Reason: "a logout failed there a moment ago", Transient: true}

// outages knows which hosts are marked unavailable, by base URL. It is safe for concurrent use.
type outages struct {
	now   func() time.Time
	mu    *sync.Mutex
	hosts map[string]outage
}

// outage is what is known of a host that failed its last logout.
type outage struct {
	lasts time.Duration // as it is reckoned for now
	until time.Time
	at    time.Time // of the last failure
}

func newOutages(now func() time.Time) outages {
	return outages{now: now, mu: new(sync.Mutex), hosts: make(map[string]outage)}
}

// isMarked tells whether a host failed a logout a moment ago.
func (p *outages) isMarked(baseURL string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now().Before(p.hosts[baseURL].until)
}

// forget removes what is known of a host that is not called any more.
func (p *outages) forget(baseURL string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.hosts, baseURL)
}

// retryNow has all hosts tried again now.
func (p *outages) retryNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, o := range p.hosts {
		if p.now().Sub(o.at) >= forgetOutage {
			delete(p.hosts, host)
			continue
		}
		o.until = time.Time{}
		p.hosts[host] = o
	}
}

// observe learns from the outcome of one session's logout. A call that timed out in the queue, and a 429, say nothing about
// the host's health. Of the others, only the answers of a proxy or load balancer that finds nothing behind it, and no answer,
// mark the host: a 500 may be due to that session alone, and must not keep the others from being logged out.
func (p *outages) observe(baseURL string, err error) {
	var unavailable *workfront.UnavailableError
	if busy := (*workfront.BusyError)(nil); errors.As(err, &busy) {
		return
	}
	down := false
	if errors.As(err, &unavailable) {
		switch unavailable.Status {
		case http.StatusTooManyRequests:
			return
		case 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			down = true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !down {
		delete(p.hosts, baseURL)
		return
	}
	o := p.hosts[baseURL]
	if !p.now().Before(o.until) { // else it failed other logouts at the same time
		o.lasts = min(max(firstOutage, 2*o.lasts), longestOutage)
		o.until = p.now().Add(o.lasts)
	}
	o.at = p.now()
	p.hosts[baseURL] = o
}
