package main

import (
	"sync"
	"time"
)

// byItself stands for an operation in the counts. Nobody does it: time does.
const byItself = "end by itself"

// What ended by itself. All but the plain lease must happen: see sawEnds.
const (
	withSession  = "lease with its session"
	withAssumed  = "lease with the assumed end of its session"
	beforeIt     = "lease"
	wasRefreshed = "shared session, replaced before"
)

// forget counts a lease that has expired.
func (w *worker) forget(l *lease) {
	switch {
	case w.past.happened(sweep(l.role), l.began, l.until) || w.past.happened(ended(l.session), l.began, l.until):
	case l.sessionEnds.Sub(l.until) > 3*time.Second:
		w.tally.count(byItself, beforeIt)
	case l.assumed:
		w.tally.count(byItself, withAssumed)
	default:
		w.tally.count(byItself, withSession)
	}
}

// forgetAll forgets the worker's leases at the end of a round.
func (w *worker) forgetAll() {
	for _, l := range w.leases {
		if time.Now().After(l.until) {
			w.forget(l)
		}
	}
	w.leases = nil
}

// sharedSessions knows which session each role issued last.
type sharedSessions struct {
	mu   sync.Mutex
	last map[string]*lease
}

// noteShared counts a shared session that was replaced when a quarter of its life was left, as is done in the background.
func (k *soak) noteShared(l *lease) {
	if kindOf(l.role) != "shared" {
		return
	}
	k.shared.mu.Lock()
	defer k.shared.mu.Unlock()
	if k.shared.last == nil {
		k.shared.last = map[string]*lease{}
	}
	old := k.shared.last[l.role]
	if old == nil || l.sessionEnds.After(old.sessionEnds) {
		k.shared.last[l.role] = l
	}
	if old == nil || old.session == l.session || !l.sessionEnds.After(old.sessionEnds) {
		return
	}
	if left := old.sessionEnds.Sub(l.began); left > time.Second && left < sessionTTL/3 {
		k.tally.count(byItself, wasRefreshed)
	}
}

// sawEnds keeps a failure if a run went by without what takes the time of a session.
func (k *soak) sawEnds() {
	for _, kind := range []string{withSession, withAssumed, wasRefreshed} {
		if k.tally.counted(byItself, kind) == 0 {
			k.tally.fail("%s: there was no %q, so nothing is shown of that", byItself, kind)
		}
	}
}
