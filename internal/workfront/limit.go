package workfront

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The range and default of max_connections.
const (
	minConnections     = 2
	maxConnections     = 64
	defaultConnections = 8
)

// longestPause is how long an answer of status 429 can keep a host from being called: a Retry-After by mistake must not
// silence it for good.
const longestPause = time.Hour

// BusyError says that a call was not sent, because its turn did not come in the time that it had. It says nothing about
// whether Workfront is available.
type BusyError struct {
	UnderWay int // calls to the host when the wait was given up
	Limit    int // max_connections
	// Reason is set if something else than the number of calls was in the way, for the operator.
	Reason string
}

func (e *BusyError) Error() string {
	if e.Reason != "" {
		return e.Reason
	}
	return fmt.Sprintf("%d calls are under way, max_connections is %d; share the session, or raise it", e.UnderWay, e.Limit)
}

// kind is what a call is for.
type kind int

const (
	exchanges kind = iota // and whatever else is not a logout
	logouts
)

// limit is how many calls one host gets at a time, and whose turn is next. Each call takes a slot for the time of one
// attempt. A quarter of the slots, one at least, is for logouts alone, another one for exchanges alone, and the others go to
// whoever came first: no revocation waits for exchanges, and no exchange for revocations. Calls in the background wait for
// the slots of their own kind only, and behind the foreground.
//
// An answer of status 429 halves the slots, to two at least, and each second without another one gives one back. Until the
// time that its Retry-After names, no slot is given out at all. What has a slot keeps it.
//
// It is fair (first come, first served), and it is not a semaphore of golang.org/x/sync, because those cannot be resized,
// and a call cannot wait for one of two. The zero limit gives out nothing; see newLimit.
type limit struct {
	mu      sync.Mutex
	max     int      // max_connections
	allowed int      // the slots that there are now: max, or fewer after a 429
	used    [2]int   // slots, by kind
	queues  [2]queue // of exchanges and of logouts
	arrived uint64   // numbers the waiters

	changed   time.Time // the last 429, or the last time that a slot was given back since
	notBefore time.Time // the end of a pause
	timer     *time.Timer
}

// queue holds the waiters of one kind. The background's turn comes when nobody waits in the foreground.
type queue struct{ foreground, background list.List }

func (q *queue) front() *list.Element {
	if first := q.foreground.Front(); first != nil {
		return first
	}
	return q.background.Front()
}

// waiter is a call that waits for its turn.
type waiter struct {
	number  uint64
	kind    kind
	queue   *list.List
	element *list.Element // nil once it has a slot
	turn    chan struct{} // holds one: the slot
}

func newLimit() *limit { return &limit{max: defaultConnections, allowed: defaultConnections} }

// setMax changes max_connections. Calls under way are not disturbed.
func (l *limit) setMax(n int) {
	n = min(max(n, minConnections), maxConnections)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == l.max {
		return
	}
	if l.allowed == l.max {
		l.allowed = n
	}
	l.max, l.allowed = n, min(l.allowed, n)
	l.dispatch()
}

// isDefault tells whether max_connections is as it was at first.
func (l *limit) isDefault() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.max == defaultConnections
}

// acquire waits for the turn of a call, until latest (if it is not zero) or the end of ctx. It returns a function that gives
// the slot back, a *BusyError if the time is over, or context.Canceled. Whoever has left is not given a slot.
func (l *limit) acquire(ctx context.Context, k kind, background bool, latest time.Time) (release func(), err error) {
	if !latest.IsZero() && !time.Now().Before(latest) && ctx.Err() == nil {
		return nil, l.busy("too little time is left for a call to Workfront, so it was not sent")
	}
	w := l.enqueue(k, background, latest)
	if w == nil {
		return nil, l.busy("")
	}
	var late <-chan time.Time
	if !latest.IsZero() {
		timer := time.NewTimer(time.Until(latest))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.turn:
		if ctx.Err() == nil {
			return func() { l.release(k) }, nil
		}
		l.release(k)
	case <-ctx.Done():
		l.leave(w)
	case <-late:
		l.leave(w)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Canceled
	}
	return nil, l.busy("")
}

// enqueue returns nil if a pause makes the wait a vain one.
func (l *limit) enqueue(k kind, background bool, latest time.Time) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !latest.IsZero() && latest.Before(l.notBefore) {
		return nil
	}
	queue := &l.queues[k].foreground
	if background {
		queue = &l.queues[k].background
	}
	l.arrived++
	w := &waiter{number: l.arrived, kind: k, queue: queue, turn: make(chan struct{}, 1)}
	w.element = queue.PushBack(w)
	l.dispatch()
	return w
}

// leave takes w out of its queue, or gives its slot back, if it was given one at this very moment.
func (l *limit) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.element != nil {
		w.queue.Remove(w.element)
		w.element = nil
	} else {
		l.used[w.kind]--
	}
	l.dispatch()
}

func (l *limit) release(k kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[k]--
	l.dispatch()
}

// refused tells of an answer of status 429, before the slot of its call is released. retryAfter is 0 if it named none.
func (l *limit) refused(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.recover(now)
	l.allowed = max(l.allowed/2, minConnections)
	l.changed = now
	if end := now.Add(min(retryAfter, longestPause)); end.After(l.notBefore) {
		l.notBefore = end
	}
	l.dispatch()
}

// busy makes the error for a call whose turn did not come. reason, if set, says why.
func (l *limit) busy(reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.recover(now)
	e := &BusyError{Limit: l.max, Reason: reason}
	for _, n := range l.used {
		e.UnderWay += n
	}
	switch pause := l.notBefore.Sub(now); {
	case reason != "":
	case pause > 0:
		e.Reason = fmt.Sprintf("Workfront limits the number of calls (HTTP status 429) and asks for none in the next %s; try again then",
			pause.Round(time.Second))
	case l.allowed < l.max:
		e.Reason = fmt.Sprintf("%d calls are under way, and %d at a time are allowed for now instead of max_connections, which is %d, because Workfront "+
			"limits the number of calls (HTTP status 429); share the session, or try again later", e.UnderWay, l.allowed, l.max)
	}
	return e
}

// The methods from here on are called with mu held.

// recover gives back what the time since the last 429 has earned.
func (l *limit) recover(now time.Time) {
	if earned := int(now.Sub(l.changed) / time.Second); l.allowed < l.max && earned > 0 {
		l.allowed = min(l.allowed+earned, l.max)
		l.changed = l.changed.Add(time.Duration(earned) * time.Second)
	}
}

// dispatch gives out the slots that are free. Where slots were taken away that are in use, each kind gets its quarter all the
// same, so that a revocation does not wait for exchanges even then.
func (l *limit) dispatch() {
	now := time.Now()
	l.recover(now)
	if !now.Before(l.notBefore) {
		quarter := max(l.allowed/4, 1)
		for _, k := range []kind{logouts, exchanges} {
			for l.used[k] < quarter && l.give(l.queues[k].front()) {
			}
		}
		for l.beyond(quarter) < l.allowed-2*quarter && l.give(l.firstComer()) {
		}
	}
	l.wakeUp(now)
}

// beyond is how many slots are in use that are neither kind's own.
func (l *limit) beyond(quarter int) int {
	return max(l.used[exchanges]-quarter, 0) + max(l.used[logouts]-quarter, 0)
}

// firstComer is the one of the foreground who has waited the longest; nil if nobody waits.
func (l *limit) firstComer() *list.Element {
	a, b := l.queues[exchanges].foreground.Front(), l.queues[logouts].foreground.Front()
	if a == nil || b != nil && b.Value.(*waiter).number < a.Value.(*waiter).number {
		return b
	}
	return a
}

// give hands a slot to a waiter, if there is one.
func (l *limit) give(to *list.Element) bool {
	if to == nil {
		return false
	}
	w := to.Value.(*waiter)
	w.queue.Remove(to)
	w.element = nil
	l.used[w.kind]++
	w.turn <- struct{}{}
	return true
}

// wakeUp sees to it that whoever waits is looked at again when a pause ends or a slot is given back.
func (l *limit) wakeUp(now time.Time) {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.queues[exchanges].front() == nil && l.queues[logouts].front() == nil {
		return
	}
	next := l.notBefore
	if !now.Before(next) {
		if l.allowed == l.max {
			return // a release is what they wait for
		}
		next = l.changed.Add(time.Second)
	}
	l.timer = time.AfterFunc(next.Sub(now), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dispatch()
	})
}
