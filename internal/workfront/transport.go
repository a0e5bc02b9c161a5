package workfront

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxHeader and maxBody are how much of an answer is read, in bytes. Workfront's answers have a few KiB.
	maxHeader = 64 << 10
	maxBody   = 64 << 10
	// maxDrain is how much more of it is thrown away to keep its connection.
	maxDrain = 1 << 20

	// idleTimeout is how long a connection is kept without a call. By default, Node and Apache close it after five
	// seconds. Load balancers drop it after a minute or so, some of them without a word. A request that is sent into a
	// closing connection is lost, and an exchange cannot be repeated.
	idleTimeout = 4 * time.Second
	// dialTimeout is for a TCP connection, and again for its TLS handshake.
	dialTimeout = 10 * time.Second
)

// keepAlive finds a connection whose other side has gone without a word after 20 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}

// newTransport returns a transport that trusts roots, and whose connections are counted by c. It speaks HTTP/1.1 only: with
// one request on a connection, a connection that breaks fails one exchange. A request that a kept connection refuses before
// anything of it was written is sent again on a new one by net/http, if its body can be read again.
func newTransport(roots *x509.CertPool, p *proxies, c *connections) *http.Transport {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	t := &http.Transport{
		Proxy:       p.forRequest,
		DialContext: c.dial,
		// TLS sessions are not resumed (there is no ClientSessionCache): that hides a certificate that has changed, and
		// saves no round trip in TLS 1.3.
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              protocols,
		MaxIdleConnsPerHost:    maxConnections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a body is bounded before it is decoded
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &proxyRefusal{resp.StatusCode}
			}
			return nil
		},
	}
	return t
}

// connections counts the connections to one host, open ones and those that are being opened, of all transports that go there:
// there are never more than max_connections. Where that many are open, idle ones are closed for a new one.
type connections struct {
	mu         sync.Mutex
	max        int
	open       int
	freed      chan struct{} // closed, and replaced, when one may have become free
	transports map[*http.Transport]struct{}
}

func newConnections() *connections {
	return &connections{max: defaultConnections, freed: make(chan struct{}), transports: make(map[*http.Transport]struct{})}
}

func (c *connections) add(t *http.Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transports[t] = struct{}{}
}

// remove forgets t, and closes those of its connections that are idle.
func (c *connections) remove(t *http.Transport) {
	c.mu.Lock()
	delete(c.transports, t)
	c.mu.Unlock()
	t.CloseIdleConnections()
}

// setMax changes max_connections. Those that are idle are closed if they are too many now.
func (c *connections) setMax(n int) {
	n = min(max(n, minConnections), maxConnections)
	c.mu.Lock()
	if n == c.max {
		c.mu.Unlock()
		return
	}
	c.max = n
	c.wakeUp()
	tooMany := c.open > n
	c.mu.Unlock()
	if tooMany {
		c.closeIdle()
	}
}

// wakeUp is called with mu held.
func (c *connections) wakeUp() {
	close(c.freed)
	c.freed = make(chan struct{})
}

// closeIdle closes what is idle, and gives up what is dialed for nobody.
func (c *connections) closeIdle() {
	c.mu.Lock()
	transports := make([]*http.Transport, 0, len(c.transports))
	for t := range c.transports {
		transports = append(transports, t)
	}
	c.mu.Unlock()
	for _, t := range transports {
		t.CloseIdleConnections() // calls released
	}
}

// dial opens a connection. A call has a slot of the host's limit before it needs one, so that the connections of the other
// calls leave room for it, once those are closed that nobody uses.
func (c *connections) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.reserve(ctx); err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, network, addr)
	if err != nil {
		c.released()
		return nil, err
	}
	return &countedConn{Conn: conn, closed: sync.OnceFunc(c.released)}, nil
}

// reserve waits until there are fewer connections than there may be, and counts another one.
func (c *connections) reserve(ctx context.Context) error {
	// A connection of another transport becomes idle without a word.
	const lookAgain = 50 * time.Millisecond
	for {
		c.mu.Lock()
		if c.open < c.max {
			c.open++
			c.mu.Unlock()
			return nil
		}
		freed := c.freed
		c.mu.Unlock()
		c.closeIdle()
		timer := time.NewTimer(lookAgain)
		select {
		case <-freed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

func (c *connections) released() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.wakeUp()
}

// countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// errUpgrade stands for an answer that turns the connection into something else, which would have no end.
var errUpgrade = errors.New("the answer switches protocols")

// receive reads an answer whole, so that one that breaks off counts as a failure of the request. tooLong says that there is
// more of it than is returned.
func receive(resp *http.Response) (body []byte, tooLong bool, err error) {
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, false, errUpgrade
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, resp.Body, maxBody); errors.Is(err, io.EOF) {
		return b.Bytes(), false, nil
	} else if err != nil {
		return nil, false, err
	}
	rest, err := io.CopyN(io.Discard, resp.Body, maxDrain)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	return b.Bytes(), rest > 0, nil
}
