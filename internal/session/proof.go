package session

import (
	"context"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// proofLasts is how long a successful write proves that this node may log out what stands in the ledger. It is shorter than
// what another node needs to take over, and long enough that a mass of revocations does not write for each.
const proofLasts = 500 * time.Millisecond

// writeProof remembers when this node last proved that it can write to storage. Its zero value has no proof.
type writeProof struct {
	mu sync.Mutex
	at time.Time // when the last write that succeeded was begun
}

func isRecent(age time.Duration) bool { return 0 <= age && age < proofLasts }

// renew proves it again, unless that was done a moment ago. The error is that of storage.
func (p *writeProof) renew(ctx context.Context, l ledger.Ledger, now func() time.Time) error {
	began := now()
	p.mu.Lock()
	at := p.at
	p.mu.Unlock()
	// The monotonic clock stands still while the machine is suspended, and the wall clock can be set.
	if isRecent(began.Sub(at)) && isRecent(began.Round(0).Sub(at.Round(0))) {
		return nil
	}
	if err := l.ProveWritable(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if began.After(p.at) {
		p.at = began
	}
	return nil
}
