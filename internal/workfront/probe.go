package workfront

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Greeting is what an endpoint says before any credential is sent.
type Greeting struct {
	Date time.Time // the server's clock, to the second; zero if it does not tell
	// MidRequest is the local time half-way between the request and its answer, to compare Date with.
	MidRequest time.Time
}

// Probe sends a harmless request without credentials on a new connection, so that one that is kept alive hides nothing.
// Any HTTP answer will do. The calls that follow use the new connection, too. Probe returns an *UnavailableError, a
// *BusyError, or the cancellation of ctx, whose deadline is the whole time that it may take.
func (c *Client) Probe(ctx context.Context) (*Greeting, error) {
	c.transports.renew()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.endpoint.BaseURL+"/", nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	a, err := c.do(call{request: req, rule: retryIfTransient})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	now := c.now()
	g := &Greeting{MidRequest: a.sentAt.Add(now.Sub(a.sentAt) / 2)}
	if date, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		g.Date = date
	}
	return g, nil
}
