package session

// Waiting returns how many readers wait for a refresh, or -1 if there is none: a test has to know when all of them do.
func (b *Broker) Waiting(share string) int {
	b.mu.Lock()
	s := b.shares[share]
	b.mu.Unlock()
	if s == nil {
		return -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refresh == nil {
		return -1
	}
	return s.refresh.waiting
}

// InMemory returns how many sessions and shares memory holds: a test has to see that they do not pile up.
func (b *Broker) InMemory() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.Len() + len(b.shares)
}

// AwaitBackground waits until nothing goes on that outlives its readers. No reader may come in the meantime.
func (b *Broker) AwaitBackground() { b.inFlight.Wait() }

// LogoutLog is what an exchange is compared with.
type LogoutLog struct{ log logoutLog }

// NewLogoutLog returns an empty LogoutLog.
func NewLogoutLog() *LogoutLog {
	l := new(LogoutLog)
	l.log.init()
	return l
}

// Add notes a logout.
func (l *LogoutLog) Add(id string) { l.log.add(id) }

// Begin begins an exchange, and returns what tells whether a session was logged out since.
func (l *LogoutLog) Begin() (since func(id string) bool) { return l.log.now().since }

// References returns how many calls and shares keep a session in memory: a test has to know when a call waits for it.
func (b *Broker) References(id string) int {
	calls, _ := b.ledger.Busy(id)
	return calls
}

// InBatches returns how many leases of a session wait to be added, or released, with the next write: a test has to know
// when they do.
func (b *Broker) InBatches(id string) int {
	_, queued := b.ledger.Busy(id)
	return queued
}
