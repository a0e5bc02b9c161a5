package main

import (
	"context"
	"net/http"
	"time"
)

// idle is after what time without a call a session expires. It is shorter than sessionTTL, and longer than assumedTTL: a
// session lives at least to the end that is stated or assumed, and longer if it is used.
const idle = 20 * time.Second

// call uses a session, which keeps it from being idle. What comes of it is told by Workfront itself: see mustLive.
func (k *soak) call(ctx context.Context, l *lease) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	url := k.workfront.URL() + "/attask/api/v22.0/user/" + k.users[0].ID
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		k.tally.fail("make a call: %v", err)
		return
	}
	req.Header.Set("sessionID", l.token)
	resp, err := k.workfront.HTTPClient().Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
}
