package workfront

import (
	"fmt"
	"time"
)

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

// busy returns the error for a call whose turn did not come. reason, if set, says why.
func (l *limit) busy(background bool, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.recover(now)
	e := &BusyError{Limit: l.max, Reason: reason}
	e.UnderWay = l.underWay()
	switch pause := l.notBefore.Sub(now); {
	case reason != "":
	case pause > 0:
		e.Reason = fmt.Sprintf("Workfront limits the number of calls (HTTP status 429) and asks for none in the next %s; try again then",
			pause.Round(time.Second))
	case background:
		e.Reason = l.backgroundReason()
	case l.allowed < l.max:
		e.Reason = fmt.Sprintf("%d calls are under way, and %d at a time are allowed for now instead of max_connections, which is %d, because Workfront "+
			"limits the number of calls (HTTP status 429); share the session, or try again later", e.UnderWay, l.allowed, l.max)
	}
	return e
}
