package workfront

import (
	"context"
	"net"
	"net/http"
)

// Over replaces the network by rt: a fuzz target cannot afford a handshake for each input.
func (c *Client) Over(rt http.RoundTripper) {
	c.change(func(t *http.Transport) { t.RegisterProtocol("https", rt) })
}

// change changes every transport of c, from now on.
func (c *Client) change(change func(*http.Transport)) {
	open := c.transports.open
	c.transports.open = func() *http.Transport {
		t := open()
		change(t)
		return t
	}
	c.transports.renew()
}

// DialOver replaces what is below HTTP, and leaves the transport as it is configured.
func (c *Client) DialOver(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	c.change(func(t *http.Transport) { t.DialTLSContext = dial })
}

// Describe makes the description of a body that is part of an Observation.
var Describe = describe

// ResolveNothing lets no host name have an address, without asking anyone.
func (c *Client) ResolveNothing() {
	c.change(func(t *http.Transport) {
		t.DialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			notFound := &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			return nil, &net.OpError{Op: "dial", Net: network, Err: notFound}
		}
	})
}
