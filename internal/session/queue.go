package session

import (
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// slowWrite is how long leases that are added wait for the write before theirs. If it takes longer, they are written beside it:
// one call that storage has lost must not stop the other readers.
const slowWrite = 500 * time.Millisecond

// queue has what comes during a write go with the next one. It is safe for concurrent use.
type queue struct {
	turn     chan struct{} // holds one while a write is under way
	patience time.Duration // with a write that is under way; 0 for as long as it takes

	mu   sync.Mutex
	next *batch // which others can still join
}

// batch is the leases that one write is for.
type batch struct {
	leases []ledger.LeaseID
	done   chan struct{}
	err    error // after done
}

func newQueue(patience time.Duration) *queue {
	return &queue{turn: make(chan struct{}, 1), patience: patience}
}

// do returns what write returned for a batch that the lease is in. The first of a batch calls it.
func (q *queue) do(lease ledger.LeaseID, write func(leases []ledger.LeaseID) error) error {
	b, first := q.join(lease)
	if !first {
		<-b.done
		return b.err
	}
	defer close(b.done)
	defer q.takeTurn()()
	q.close(b)
	b.err = ErrClosed // should the goroutine end in write
	b.err = write(b.leases)
	return b.err
}

// takeTurn waits for the write that is under way, as long as patience allows, and returns what ends the turn.
func (q *queue) takeTurn() (end func()) {
	end = func() { <-q.turn }
	if q.patience == 0 {
		q.turn <- struct{}{}
		return end
	}
	select {
	case q.turn <- struct{}{}:
		return end
	default:
	}
	waited := time.NewTimer(q.patience)
	defer waited.Stop()
	select {
	case q.turn <- struct{}{}:
		return end
	case <-waited.C:
		return func() {}
	}
}

func (q *queue) join(lease ledger.LeaseID) (b *batch, first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first = q.next == nil || len(q.next.leases) == pageMax; first {
		q.next = &batch{done: make(chan struct{})}
	}
	q.next.leases = append(q.next.leases, lease)
	return q.next, first
}

// close has nobody else join the batch.
func (q *queue) close(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next == b {
		q.next = nil
	}
}
