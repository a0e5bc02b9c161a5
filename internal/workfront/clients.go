package workfront

import (
	"net/http"
	"os"
	"sync"
	"time"
)

// keepFor is how long a Client is kept that nobody asks for.
const keepFor = 10 * time.Minute

// ClientsOptions says how clients are made.
type ClientsOptions struct {
	// Now is what Session.SentAt and Greeting are stated by; time.Now by default. Waits are by package time.
	Now       func() time.Time
	UserAgent string                   // sent with each request, so that Workfront's support can find them
	Getenv    func(name string) string // where the proxy settings are read, once; os.Getenv by default
}

// Clients keeps a Client for each Endpoint, with its connections, and the limit of calls for each host, which all endpoints of the
// host share. There is one for each mount. It is safe for concurrent use.
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
	worked      worked
}

func newHost() *host { return &host{limit: newLimit(), connections: newConnections()} }

// NewClients returns an empty Clients. Close it when it is no longer used.
func NewClients(o ClientsOptions) *Clients {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &Clients{options: o, proxies: proxiesFrom(o.Getenv), hosts: make(map[string]*host), clients: make(map[Endpoint]*Client)}
}

// Client returns the client for e. It fails only if e.CACert holds no certificate. A client that nobody has asked for in 10 minutes
// and that has no call under way is dropped; it may be used all the same by whoever still has it.
func (c *Clients) Client(e Endpoint) (*Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	client := c.clients[e]
	if client == nil {
		roots, err := rootCAs(e.CACert)
		if err != nil {
			return nil, err
		}
		h := c.host(e.BaseURL)
		t := newTransport(roots, &c.proxies, h.connections)
		h.connections.add(t)
		client = &Client{remote: c.remote(e, h, t)}
		client.closed.Store(c.closed)
		c.clients[e] = client
	}
	client.lastUsed = time.Now()
	return client, nil
}

func (c *Clients) remote(e Endpoint, h *host, t *http.Transport) *remote {
	return &remote{endpoint: e, host: h, transport: t, proxies: &c.proxies, userAgent: c.options.UserAgent, now: c.options.Now}
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

// SetMaxConnections limits the calls that go to a host at a time, and the connections. It holds until it is set anew, whatever
// becomes of the clients; before, the limit is 8. It is cheap if nothing changes. Calls under way are not disturbed.
func (c *Clients) SetMaxConnections(baseURL string, n int) {
	c.mu.Lock()
	h := c.host(baseURL)
	c.mu.Unlock()
	h.limit.setMax(n)
	h.connections.setMax(n)
}

// sweep drops the clients that are no longer used, and what is left of their hosts, unless a limit was set there. It is called
// with mu held.
func (c *Clients) sweep() {
	now := time.Now()
	if now.Sub(c.swept) < keepFor/10 {
		return
	}
	c.swept = now
	used := make(map[string]bool)
	for e, client := range c.clients {
		if client.underWay.Load() > 0 || now.Sub(client.lastUsed) < keepFor {
			used[e.BaseURL] = true
			continue
		}
		delete(c.clients, e)
		client.host.connections.remove(client.transport)
	}
	for baseURL, h := range c.hosts {
		if !used[baseURL] && h.limit.isDefault() {
			delete(c.hosts, baseURL)
		}
	}
}

// Close closes all connections that no call uses, and has none kept from now on. Calls under way are not disturbed, and
// others can be made.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, client := range c.clients {
		client.closed.Store(true)
		client.transport.CloseIdleConnections()
	}
}
