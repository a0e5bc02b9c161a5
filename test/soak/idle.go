package main

import (
	"context"
	"net/http"
	"time"
)

// idle is after what time without a call a session expires. It is shorter than sessionTTL, and longer than assumedTTL: a
// session lives at least to the end that is stated or assumed, and longer if it is used.
const idle = 20 * time.Second

// outlived counts the sessions that live on past the end that Workfront stated: they were used since, or were started later
// than the plugin counts, which is from when it asked. It has let go of them.
func (k *soak) outlived() (n int) {
	k.seenMu.Lock()
	defer k.seenMu.Unlock()
	for token, end := range k.seen {
		switch alive := k.workfront.SessionAlive(token); {
		case !alive:
			delete(k.seen, token)
		case time.Now().After(end):
			n++
		}
	}
	return n
}

// see notes a session that a reader was given, unless its end may be an assumed one: see overtaken.
func (k *soak) see(l *lease) {
	if k.past.happened(unstated, l.began, time.Now()) {
		return
	}
	k.noteEnd(l.token, l.sessionEnds)
}

// noteEnd notes when a session ends as the plugin knows it.
func (k *soak) noteEnd(token string, end time.Time) {
	k.seenMu.Lock()
	defer k.seenMu.Unlock()
	if k.seen == nil {
		k.seen = map[string]time.Time{}
	}
	if end.After(k.seen[token]) {
		k.seen[token] = end
	}
}

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
