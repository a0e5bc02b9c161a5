package session

import (
	"container/list"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// youngFor is how long after an exchange returned a session Workfront is not believed when it says that it does not know it:
// the part of Workfront that answers may not have heard of the session yet.
const youngFor = 10 * time.Second

// youngSessions remembers when exchanges last returned sessions, of those that may be young and have not ended. It is safe for
// concurrent use.
type youngSessions struct {
	now   func() time.Time
	mu    sync.Mutex
	byID  map[string]*list.Element
	order *list.List // of *youngSession, the one that was noted first in front
}

// youngSession is what is remembered of one.
type youngSession struct {
	id     string
	at     time.Time // when it was noted
	exists bool      // Workfront has answered a logout of it with a 2xx since, so it has heard of it
}

func newYoungSessions(now func() time.Time) *youngSessions {
	return &youngSessions{now: now, byID: make(map[string]*list.Element), order: list.New()}
}

// returned notes that an exchange returned a session just now.
func (y *youngSessions) returned(id string) { y.note(id, false) }

// answered notes that Workfront answered a logout of a session with a 2xx just now.
func (y *youngSessions) answered(id string) { y.note(id, true) }

func (y *youngSessions) note(id string, exists bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	now := y.now()
	y.pruneLocked(now)
	y.forgetLocked(id)
	y.byID[id] = y.order.PushBack(&youngSession{id: id, at: now, exists: exists})
}

// has reports whether a session is so young that Workfront may not know it yet. Of one that another process exchanged, the
// stored time counts. One that is past the expiry that Workfront stated is not young, whatever the clock says.
func (y *youngSessions) has(s *ledger.Session) bool {
	now := y.now()
	if s.Stated && s.Expired(now) {
		return false
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if e := y.byID[s.ID()]; e != nil {
		known := e.Value.(*youngSession)
		return !known.exists && now.Sub(known.at) < youngFor
	}
	return now.Sub(s.IssuedAt) < youngFor // the clock can have been set back: then the time is in the future
}

// forget drops what is remembered of a session that has ended.
func (y *youngSessions) forget(id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.forgetLocked(id)
}

// prune drops what is not young any more.
func (y *youngSessions) prune() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.pruneLocked(y.now())
}

func (y *youngSessions) pruneLocked(now time.Time) {
	for e := y.order.Front(); e != nil; e = y.order.Front() {
		oldest := e.Value.(*youngSession)
		if now.Sub(oldest.at) < youngFor {
			return
		}
		y.forgetLocked(oldest.id)
	}
}

func (y *youngSessions) forgetLocked(id string) {
	if e := y.byID[id]; e != nil {
		y.order.Remove(e)
		delete(y.byID, id)
	}
}
