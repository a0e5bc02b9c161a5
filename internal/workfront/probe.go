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

// Probe connects to an endpoint anew, so that a connection that is kept alive hides nothing, and asks for nothing in
// particular. Any HTTP answer will do. The connection counts as any other. observer, which may be nil, is told of each attempt, as that
// of Client.Observed is. Probe returns an *UnavailableError, a *BusyError, or the cancellation of ctx, whose deadline is the whole
// time that it may take.
func (c *Clients) Probe(ctx context.Context, e Endpoint, observer func(Observation)) (*Greeting, error) {
	kept, err := c.Client(e)
	if err != nil {
		return nil, err
	}
	kept.underWay.Add(1) // so that its host is not forgotten meanwhile
	defer kept.underWay.Add(-1)
	t := kept.transport.Clone()
	t.DisableKeepAlives = true
	connections := kept.host.connections
	connections.add(t)
	defer connections.remove(t)
	anew := &Client{remote: c.remote(e, kept.host, t), observer: observer}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, e.BaseURL+"/", nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	a, err := anew.do(call{request: req, rule: retryIfTransient})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	now := c.options.Now()
	g := &Greeting{MidRequest: a.sentAt.Add(now.Sub(a.sentAt) / 2)}
	if date, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		g.Date = date
	}
	return g, nil
}
