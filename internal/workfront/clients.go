package workfront

import (
	"net/http"
	"os"
	"sync"
	"time"
)

// keepFor is how long a Client and a host are kept after their last call.
const keepFor = 10 * time.Minute

// ClientsOptions says how clients are made.
type ClientsOptions struct {
	// Now is what Session.SentAt and Greeting are stated by; time.Now by default. Waits are by package time.
	Now       func() time.Time
	UserAgent string                   // sent with each request, so that Workfront's support can find them
	Getenv    func(name string) string // where the proxy settings are read, once; os.Getenv by default
	// Forgotten, if set, is called when a host is forgotten, so that its caller forgets it, too. It must not call Clients.
	Forgotten func(baseURL string)
}

// Clients keeps a Client for each Endpoint, with its connections, and the limit of calls for each host, which all
// endpoints of the host share. A host and a Client are forgotten ten minutes after their last call; a host's limit is
// the default then. There is one Clients for each mount. It is safe for concurrent use.
type Clients struct {
	options ClientsOptions
	proxies proxies

	mu      sync.Mutex
	closed  bool
	hosts   map[string]*host // by base URL
	clients map[Endpoint]*Client
	swept   time.Time
}

// host is what all clients of a host share.
type host struct {
	limit       *limit
	connections *connections
	renewal     renewal
	worked      worked

	// These are guarded by Clients.mu.
	trials int       // under way
	known  time.Time // when a call other than a trial's was last prepared; zero if only trials use it
}

func newHost() *host { return &host{limit: newLimit(), connections: newConnections()} }

// usage is when a Client was last used. It is safe for concurrent use.
type usage struct {
	mu       sync.Mutex
	underWay int       // calls, from before they wait for their turn
	last     time.Time // when it was last asked for, or a call ended
}

func (u *usage) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.underWay++
}

func (u *usage) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.underWay--
	u.last = time.Now()
}

// touch keeps the Client for the caller that has asked for it.
func (u *usage) touch() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last = time.Now()
}

func (u *usage) isOver(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.underWay == 0 && now.Sub(u.last) >= keepFor
}

// NewClients returns an empty Clients. Close it when it is no longer used.
func NewClients(o ClientsOptions) *Clients {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Forgotten == nil {
		o.Forgotten = func(string) {}
	}
	return &Clients{options: o, proxies: proxiesFrom(o.Getenv), hosts: make(map[string]*host), clients: make(map[Endpoint]*Client)}
}

// Client returns the client for e. It fails only if e.CACert holds no certificate. One that was forgotten can be used
// all the same by a caller that still has it.
func (c *Clients) Client(e Endpoint) (*Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.swept) >= keepFor/10 {
		c.sweep(now)
	}
	client := c.clients[e]
	if client == nil {
		var err error
		if client, err = c.newClient(e, c.host(e.BaseURL)); err != nil {
			return nil, err
		}
		c.clients[e] = client
	}
	client.host.known = now
	client.usage.touch()
	return client, nil
}

// newClient is called with mu held.
func (c *Clients) newClient(e Endpoint, h *host) (*Client, error) {
	roots, err := rootCAs(e.CACert)
	if err != nil {
		return nil, err
	}
	open := func() *http.Transport { return newTransport(roots, &c.proxies, h.connections) }
	return &Client{remote: &remote{
		endpoint: e, host: h, transports: transports{host: h, open: open, closed: c.closed},
		proxies: &c.proxies, userAgent: c.options.UserAgent, now: c.options.Now,
	}}, nil
}

// host is called with mu held.
func (c *Clients) host(baseURL string) *host {
	h := c.hosts[baseURL]
	if h == nil {
		h = newHost()
		c.hosts[baseURL] = h
	}
	return h
}

// SetMaxConnections limits the calls that go to a host at a time, and the connections. It holds until it is set again
// or the host is forgotten; the default is 8. It is cheap if nothing changes. Calls under way are not disturbed.
func (c *Clients) SetMaxConnections(baseURL string, n int) {
	c.mu.Lock()
	h := c.host(baseURL)
	h.known = time.Now()
	c.mu.Unlock()
	h.limit.setMax(n)
	h.connections.setMax(n)
}

// Sweep forgets the clients and hosts whose last call was ten minutes ago. The other methods do so, too, but only if
// they are called.
func (c *Clients) Sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(time.Now())
}

// sweep is called with mu held.
func (c *Clients) sweep(now time.Time) {
	c.swept = now
	used := make(map[string]bool)
	for e, client := range c.clients {
		if !client.usage.isOver(now) {
			used[e.BaseURL] = true
			continue
		}
		delete(c.clients, e)
		client.transports.close()
	}
	for baseURL, h := range c.hosts {
		if !used[baseURL] && h.trials == 0 && now.Sub(h.known) >= keepFor {
			c.forget(baseURL)
		}
	}
}

// forget is called with mu held.
func (c *Clients) forget(baseURL string) {
	delete(c.hosts, baseURL)
	c.options.Forgotten(baseURL)
}

// Close closes all connections that no call uses, and keeps none from now on. Calls under way are not disturbed, and
// others can be made.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, client := range c.clients {
		client.transports.close()
	}
}

// TrialClients are clients of their own for one trial of settings, with connections of their own. Their calls count for
// the limit of the host, which a trial does not change; a host that only trials use has the default. It is safe for
// concurrent use.
type TrialClients struct {
	clients *Clients

	// These are guarded by clients.mu.
	closed bool
	hosts  map[string]*host
	own    map[Endpoint]*Client
}

// ForTrial returns clients for one trial. Close them when it is over.
func (c *Clients) ForTrial() *TrialClients {
	return &TrialClients{clients: c, hosts: make(map[string]*host), own: make(map[Endpoint]*Client)}
}

// Client returns the trial's client for e, the same one at each call until Close. It fails only if e.CACert holds no
// certificate.
func (t *TrialClients) Client(e Endpoint) (*Client, error) {
	c := t.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := t.own[e]; client != nil {
		return client, nil
	}
	client, err := c.newClient(e, t.host(e.BaseURL))
	if err != nil {
		return nil, err
	}
	if t.closed {
		client.transports.close()
		return client, nil
	}
	t.own[e] = client
	return client, nil
}

// host returns what the clients of a host share, and keeps it until Close. It is called with clients.mu held.
func (t *TrialClients) host(baseURL string) *host {
	c := t.clients
	switch h := t.hosts[baseURL]; {
	case h != nil:
		return h
	case t.closed && c.hosts[baseURL] == nil:
		return newHost()
	case t.closed:
		return c.hosts[baseURL]
	}
	h := c.host(baseURL)
	h.trials++
	t.hosts[baseURL] = h
	return h
}

// Close forgets all that the trial alone has needed. Its clients can still be used, but keep no connection. It may be
// called again.
func (t *TrialClients) Close() {
	for _, client := range t.end() {
		client.transports.close()
	}
}

// end returns the clients to close, which may take a while.
func (t *TrialClients) end() map[Endpoint]*Client {
	c := t.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	for baseURL, h := range t.hosts {
		if h.trials--; h.trials == 0 && h.known.IsZero() && c.hosts[baseURL] == h {
			c.forget(baseURL)
		}
	}
	return t.own
}
