package workfront

import (
	"context"
	"net"
	"net/http"
)

// Over replaces the network by rt: a fuzz target cannot afford a handshake for each input.
func (c *Client) Over(rt http.RoundTripper) { c.transport.RegisterProtocol("https", rt) }

// DialOver replaces what is below HTTP, and leaves the transport as it is configured.
func (c *Client) DialOver(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	c.transport.DialTLSContext = dial
}

// Describe makes the description of a body that is part of an Observation.
var Describe = describe

// ResolveNothing lets no host name have an address, without asking anyone.
func (c *Client) ResolveNothing() {
	c.transport.DialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(addr)
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
}
