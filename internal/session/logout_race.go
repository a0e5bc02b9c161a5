package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// errLoggedOut says that an exchange brought a session that was logged out while the exchange was under way: Workfront may
// return the same session twice, and the answer was overtaken.
var errLoggedOut = errors.New("the session was logged out meanwhile")

// logoutLog remembers which sessions were, or may have been, logged out, for as long as an exchange is under way that began
// before. It is a list linked forward, of which an exchange keeps the end that it saw: what no exchange can ask for any
// more, the garbage collector takes. It is safe for concurrent use.
type logoutLog struct {
	mu  sync.Mutex // of those that add
	end atomic.Pointer[logoutMark]
}

// logoutMark is a moment in the log, with the logout that it follows.
type logoutMark struct {
	id   string // of the session that was logged out
	next atomic.Pointer[logoutMark]
}

func (l *logoutLog) init() { l.end.Store(&logoutMark{}) }

// add notes that a session was, or may have been, logged out.
func (l *logoutLog) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	added := &logoutMark{id: id}
	l.end.Swap(added).next.Store(added)
}

// now returns the present moment.
func (l *logoutLog) now() *logoutMark { return l.end.Load() }

// since tells whether a session was, or may have been, logged out after m.
func (m *logoutMark) since(id string) bool {
	for n := m.next.Load(); n != nil; n = n.next.Load() {
		if n.id == id {
			return true
		}
	}
	return false
}

// untilLive does what needs an exchange, and does it again as long as its session was logged out meanwhile, a session is
// wanted, and permit lets it.
func (b *Broker) untilLive(permit context.Context, wanted func() bool, do func(began *logoutMark) error) error {
	for {
		err := do(b.logouts.now())
		if !errors.Is(err, errLoggedOut) || !wanted() {
			return err
		}
		if permit.Err() != nil {
			return &workfront.UnavailableError{Reason: "it kept returning a session that was being logged out", Err: err}
		}
	}
}
