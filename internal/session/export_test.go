package session

// Waiting returns how many readers wait for a flight, or -1 if there is none: a test has to know when all of them do.
func (b *Broker) Waiting(share string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pools[share]
	if p == nil || p.flight == nil {
		return -1
	}
	return p.flight.waiting
}

// InMemory returns how many sessions, shares and strays memory holds: a test has to see that they do not pile up.
func (b *Broker) InMemory() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions) + len(b.pools) + len(b.strays)
}

// AwaitBackground waits until nothing goes on that outlives its readers. No reader may come meanwhile.
func (b *Broker) AwaitBackground() { b.inFlight.Wait() }
