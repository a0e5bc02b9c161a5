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
	// Between is the local time in the middle of the exchange of messages, to compare Date with.
	Between time.Time
}

// Probe connects to an endpoint anew, so that a connection that is kept alive hides nothing, and asks for nothing in
// particular. Any HTTP answer will do. It returns an *UnavailableError or the cancellation of ctx.
func Probe(ctx context.Context, e Endpoint, now func() time.Time) (*Greeting, error) {
	client, err := NewClient(e, now)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, e.BaseURL+"/", nil)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	a, err := client.do(req, 0, retryIfTransient)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	g := &Greeting{Between: a.sentAt.Add(now().Sub(a.sentAt) / 2)}
	if date, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		g.Date = date
	}
	return g, nil
}
