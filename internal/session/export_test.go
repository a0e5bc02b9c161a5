package session

// Waiting returns how many readers wait for a refresh, or -1 if there is none: a test has to know when all of them do.
func (b *Broker) Waiting(share string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[share]
	if s == nil || s.refresh == nil {
		return -1
	}
	return s.refresh.waiting
}

// InMemory returns how many sessions and shares memory holds: a test has to see that they do not pile up.
func (b *Broker) InMemory() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.handles) + len(b.shares)
}

// AwaitBackground waits until nothing goes on that outlives its readers. No reader may come meanwhile.
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
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.handles[id]; h != nil {
		return h.refs
	}
	return 0
}

// InBatches returns how many leases of a session wait to be added, or removed, with the next write: a test has to know when
// they do.
func (b *Broker) InBatches(id string) int {
	b.mu.Lock()
	h := b.handles[id]
	b.mu.Unlock()
	if h == nil {
		return 0
	}
	queues := map[*queue]bool{h.leases.adding: true}
	h.leases.mu.Lock()
	for _, p := range h.leases.pages {
		if p != nil && p.removing != nil {
			queues[p.removing] = true
		}
	}
	h.leases.mu.Unlock()
	n := 0
	for q := range queues {
		q.mu.Lock()
		if q.next != nil {
			n += len(q.next.leases)
		}
		q.mu.Unlock()
	}
	return n
}
