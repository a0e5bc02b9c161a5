package workfront

import (
	"context"
	"net"
	"net/http"
)

// Over replaces the network by rt: a fuzz target cannot afford a handshake for each input.
func (c *Client) Over(rt http.RoundTripper) { c.http.Transport = wholeTripper{rt} }

// DialOver replaces what is below HTTP, and leaves the transport as it is configured.
func (c *Client) DialOver(dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	c.http.Transport.(wholeTripper).RoundTripper.(*http.Transport).DialTLSContext = dial
}
