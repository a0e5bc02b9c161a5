package workfront

import (
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnectionAge is how old a connection may be when a request is started on it. Names move and load balancers are
	// replaced, and the old address can go on answering.
	maxConnectionAge = time.Minute
	// maxTransportAge is how old a transport may be when a call is given it. Until the call has a connection, a dial
	// and a TLS handshake may pass, and the connection may be the transport's first.
	maxTransportAge = maxConnectionAge - 2*dialTimeout
	// renewEvery is how often the connections to a host are renewed because of what it answers, at most.
	renewEvery = time.Second
)

// suspect reports whether an answer makes it doubtful that the connections to the host still lead to Workfront: a wrong
// server, a gateway without a server behind it, or a page.
func suspect(status int, body []byte) bool {
	switch status {
	case http.StatusMisdirectedRequest, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return isPage(body)
}

// renewal counts how often a host has given reason to use new connections only, once a second at most. It is safe for
// concurrent use.
type renewal struct {
	mu    sync.Mutex
	count uint64
	last  time.Time // when it was last counted
	due   bool      // it will be counted when a second has passed
}

// request retires the connections that are open now.
func (r *renewal) request() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = true
	r.advance()
}

// number returns the number of renewals. A connection from before the last one is not used for another request.
func (r *renewal) number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance()
	return r.count
}

// advance is called with mu held.
func (r *renewal) advance() {
	if now := time.Now(); r.due && (r.last.IsZero() || now.Sub(r.last) >= renewEvery) {
		r.count++
		r.last, r.due = now, false
	}
}

// transports gives each call of a client a transport whose connections may still be used. An old one is not cut off: a
// new one takes its place, and the old one is closed as its calls end. (A timer that closes connections, or a trace
// that closes the one that a request was just given, loses requests.) It is safe for concurrent use.
type transports struct {
	host *host
	open func() *http.Transport

	mu      sync.Mutex
	current *generation // nil: the next call opens one
	closed  bool
}

// generation is a transport, and the calls that use it.
type generation struct {
	transport *http.Transport
	begun     time.Time // before its first connection was opened
	renewal   uint64    // the last one before it
	// calls is how many use it. No further call is given one that is retired. Both are guarded by transports.mu.
	calls   int
	retired bool
}

// acquire returns a transport for one request. The caller gives it back by release once the answer was read.
func (t *transports) acquire() *generation {
	now, renewal := time.Now(), t.host.renewal.number()
	t.mu.Lock()
	closeUnused := func() {}
	if g := t.current; g != nil && (g.renewal != renewal || now.Sub(g.begun) >= maxTransportAge) {
		closeUnused = t.retire()
	}
	if t.current == nil {
		t.current = &generation{transport: t.open(), begun: now, renewal: renewal}
		t.host.connections.add(t.current.transport)
	}
	g := t.current
	g.calls++
	t.mu.Unlock()
	closeUnused()
	return g
}

func (t *transports) release(g *generation) {
	t.mu.Lock()
	g.calls--
	closeUnused := t.unused(g)
	t.mu.Unlock()
	closeUnused()
}

// renew makes the next call use new connections.
func (t *transports) renew() {
	t.mu.Lock()
	closeUnused := t.retire()
	t.mu.Unlock()
	closeUnused()
}

// close closes the connections that no call uses, and keeps none from now on. Calls can still be made.
func (t *transports) close() {
	t.mu.Lock()
	t.closed = true
	closeUnused := t.retire()
	t.mu.Unlock()
	closeUnused()
}

// The next two are called with mu held. They return what is to be called without: it may wait for the other side.

// retire gives no further call the current transport.
func (t *transports) retire() (closeUnused func()) {
	g := t.current
	if g == nil {
		return func() {}
	}
	g.retired, t.current = true, nil
	return t.unused(g)
}

// unused closes the connections of g that no other call will use.
func (t *transports) unused(g *generation) (closeUnused func()) {
	if t.closed && g.calls == 0 && t.current == g {
		g.retired, t.current = true, nil
	}
	switch {
	case g.retired && g.calls == 0:
		return func() { t.host.connections.remove(g.transport) }
	case g.retired, t.closed:
		return g.transport.CloseIdleConnections
	}
	return func() {}
}
