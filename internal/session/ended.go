package session

import (
	"context"
	"errors"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// errEnded says that an exchange brought a session that was logged out while the exchange was under way: Workfront may hand
// out the same session twice, and the answer was overtaken.
var errEnded = errors.New("the session was logged out meanwhile")

// endings remembers which sessions were, or may have been, logged out while exchanges are under way. Broker.mu guards it.
type endings struct {
	exchanges int            // under way
	count     int            // of sessions logged out
	at        map[string]int // by session ID: count at its logout
}

// beginExchange returns what the Record of a session has to be compared with. Each is ended by endExchange.
func (b *Broker) beginExchange() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endings.exchanges++
	return b.endings.count
}

func (b *Broker) endExchange() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endings.exchanges--; b.endings.exchanges == 0 {
		clear(b.endings.at) // nobody asks for them any more
	}
}

// noteEnded notes that a session was, or may have been, logged out.
func (b *Broker) noteEnded(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endings.exchanges > 0 {
		b.endings.count++
		b.endings.at[id] = b.endings.count
	}
}

func (b *Broker) endedSoFar() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endings.count
}

// endedSince tells whether a session was, or may have been, logged out since the exchange began for which beginExchange returned began.
func (b *Broker) endedSince(id string, began int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endings.at[id] > began
}

// untilLiving does what needs an exchange, and does it again as long as its session was logged out meanwhile and a session is
// wanted, within limit.
func (b *Broker) untilLiving(ctx context.Context, limit time.Duration, wanted func() bool, do func(began int) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := b.beginExchange()
	defer b.endExchange()
	for {
		err := do(began)
		if !errors.Is(err, errEnded) || !wanted() {
			return err
		}
		if ctx.Err() != nil {
			return &workfront.UnavailableError{Reason: "it kept handing out a session that was being logged out", Err: err}
		}
		began = b.endedSoFar()
	}
}
