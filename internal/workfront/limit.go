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

// longestPause is how long an answer of status 429 can keep a host from being called. A Retry-After of an hour must not
// silence readers, logouts and check for that long; a server that means it answers the two calls after the pause with
// 429.
const longestPause = time.Minute

// kind is what a call is for.
type kind int

const (
	exchanges kind = iota // and whatever else is not a logout
	logouts
)

// limit is how many calls one host gets at a time, and whose turn is next. Each call takes a slot for the time of one
// attempt. A quarter of the slots (at least one) is for logouts alone, and a quarter (at least one) for exchanges
// alone. The others are common: they go to the call that came first. So no revocation waits for exchanges, and no
// exchange for revocations. Calls in the background use only the common slots, and only when no other call waits. With
// two slots there are none; then they use those of their own kind when no foreground call waits for them.
//
// An answer of status 429 halves the slots, to two at least, and each second without another one gives one back. Until the
// time that its Retry-After names, no slot is given out, and none is given back. What has a slot keeps it.
//
// It is fair (first come, first served), and it is not a semaphore of golang.org/x/sync, because those cannot be resized,
// and a call cannot wait for one of two. The zero limit gives out nothing; see newLimit.
type limit struct {
	mu         sync.Mutex
	max        int      // max_connections
	allowed    int      // the slots that there are now: max, or fewer after a 429
	used       [2]int   // slots, by kind, but for the next
	background int      // common slots that background calls use
	queues     [2]queue // of exchanges and of logouts
	arrived    uint64   // numbers the waiters

	// changed is the last 429, or the end of the pause that it asked for, or the last time that a slot was given back
	// since.
	changed   time.Time
	notBefore time.Time // the end of a pause
	timer     *time.Timer
}

// queue holds the waiters of one kind.
type queue struct{ foreground, background list.List }

// waiter is a call that waits for its turn, and has it then.
type waiter struct {
	number  uint64
	queue   *list.List
	element *list.Element // nil once it has a slot
	turn    chan struct{} // holds one: the slot
	slots   *int          // where its slot is counted; nil until it has one
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

// acquire waits for the turn of a call, until latest (if it is not zero) or the end of ctx. It returns a function that gives
// the slot back, a *BusyError if the time is over, or context.Canceled. A caller that has left is not given a slot.
func (l *limit) acquire(ctx context.Context, k kind, background bool, latest time.Time) (release func(), err error) {
	if !latest.IsZero() && !time.Now().Before(latest) && ctx.Err() == nil {
		return nil, l.busy(background, "too little time is left for a call to Workfront, so it was not sent")
	}
	w := l.enqueue(k, background, latest)
	if w == nil {
		return nil, l.busy(background, "")
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
			return func() { l.leave(w) }, nil
		}
		l.leave(w)
	case <-ctx.Done():
		l.leave(w)
	case <-late:
		l.leave(w)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Canceled
	}
	return nil, l.busy(background, "")
}

// enqueue returns nil if a pause lasts longer than the call can wait.
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
	w := &waiter{number: l.arrived, queue: queue, turn: make(chan struct{}, 1)}
	w.element = queue.PushBack(w)
	l.dispatch()
	return w
}

// leave takes w out of its queue, or gives its slot back.
func (l *limit) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.element != nil {
		w.queue.Remove(w.element)
		w.element = nil
	} else {
		*w.slots--
	}
	l.dispatch()
}

// refused takes note of an answer of status 429, before the slot of its call is released. retryAfter is 0 if it named
// none.
func (l *limit) refused(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.recover(now)
	l.allowed = max(l.allowed/2, minConnections)
	if end := now.Add(min(retryAfter, longestPause)); end.After(l.notBefore) {
		l.notBefore = end
	}
	l.changed = now
	if l.notBefore.After(now) {
		l.changed = l.notBefore // a server that hears nothing cannot say whether it would take more
	}
	l.dispatch()
}

// The methods from here on are called with mu held.

// underWay is how many calls have a slot.
func (l *limit) underWay() int { return l.used[exchanges] + l.used[logouts] + l.background }

// backgroundReason says what a background call waited for.
func (l *limit) backgroundReason() string {
	slots := fmt.Sprintf("the %d slots (max_connections)", l.max)
	if l.allowed < l.max {
		slots = fmt.Sprintf("the %d slots that are left of %d (max_connections) after an answer of HTTP status 429",
			l.allowed, l.max)
	}
	may := fmt.Sprintf("use at most %d of %s, and only when no other call waits", l.common(), slots)
	if l.common() == 0 {
		may = fmt.Sprintf("use only those of %s that are for calls of their kind, and only when no other call waits for them",
			slots)
	}
	return fmt.Sprintf("background calls %s; %d calls are under way", may, l.underWay())
}

// quarter is how many slots each kind has for itself, and common how many it has not.
func (l *limit) quarter() int { return max(l.allowed/4, 1) }
func (l *limit) common() int  { return l.allowed - 2*l.quarter() }

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
		quarter, common := l.quarter(), l.common()
		for _, k := range []kind{logouts, exchanges} {
			q := &l.queues[k]
			for l.used[k] < quarter && l.give(q.foreground.Front(), &l.used[k]) {
			}
			for common == 0 && l.underWay() < l.allowed && l.used[k] < quarter &&
				l.give(q.background.Front(), &l.used[k]) {
			}
		}
		for l.usedCommon() < common && l.giveFirst(func(q *queue) *list.List { return &q.foreground }, nil) {
		}
		// A common slot that is still free is one that no foreground call waits for.
		for l.usedCommon() < common && l.giveFirst(func(q *queue) *list.List { return &q.background }, &l.background) {
		}
	}
	l.wakeUp(now)
}

// usedCommon is how many common slots are in use.
func (l *limit) usedCommon() int {
	quarter := l.quarter()
	return max(l.used[exchanges]-quarter, 0) + max(l.used[logouts]-quarter, 0) + l.background
}

// giveFirst gives a slot to the call that arrived first in the queues that of selects, if there is one. It is counted
// in slots or, if that is nil, in those of the call's kind.
func (l *limit) giveFirst(of func(*queue) *list.List, slots *int) bool {
	first := exchanges
	a, b := of(&l.queues[exchanges]).Front(), of(&l.queues[logouts]).Front()
	if a == nil || b != nil && b.Value.(*waiter).number < a.Value.(*waiter).number {
		first, a = logouts, b
	}
	if slots == nil {
		slots = &l.used[first]
	}
	return l.give(a, slots)
}

// give gives a slot to a waiter, if there is one, and counts it in slots.
func (l *limit) give(to *list.Element, slots *int) bool {
	if to == nil {
		return false
	}
	w := to.Value.(*waiter)
	w.queue.Remove(to)
	w.element, w.slots = nil, slots
	*slots++
	w.turn <- struct{}{}
	return true
}

// waiting is how many calls wait for a slot.
func (l *limit) waiting() (n int) {
	for k := range l.queues {
		n += l.queues[k].foreground.Len() + l.queues[k].background.Len()
	}
	return n
}

// wakeUp schedules the next dispatch for when a pause ends or a slot is given back, if a call waits for it.
func (l *limit) wakeUp(now time.Time) {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.waiting() == 0 {
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
