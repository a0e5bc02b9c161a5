package session_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// books are what Vault knows of leases: those that readers hold, and those that it revokes until that succeeds.
type books struct {
	mu            sync.Mutex
	held, revoked []*session.Lease
}

func (b *books) hold(l *session.Lease, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.held = append(b.held, l)
	}
	return err
}

// operation is something that the Broker does in several steps.
type operation struct {
	name    string
	fixture func(t *testing.T) *fixture
	prepare func(f *fixture, b *books)
	do      func(ctx context.Context, f *fixture, s logical.Storage, b *books) error
	repeats bool // whoever asked for it does so again after a failure
	// before and after are how many sessions nobody can end any more if the process dies before, or right after, each
	// write: they live to their end. None if left out, and none if the process goes on. What an exchange has brought is lost
	// until it is recorded; then until a lease, or the hint at what is shared, is; then again if the reader has not got the
	// answer, since Vault has no lease to revoke.
	before, after []int
}

// run does the operation and whatever it starts in the background, and tells whether storage broke meanwhile.
func (o operation) run(f *fixture, b *books, s *storagetest.Breaking) (broke bool) {
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = o.do(ctx, f, s, b)
	}()
	select {
	case <-done:
	case <-s.Dead:
		cancel() // who waits for the process leaves
		<-done
	}
	f.broker.AwaitBackground()
	return s.Broke()
}

// TestEveryWriteOfEveryOperation breaks each operation at each of its writes, in each way. Afterwards what the readers hold
// must live, what Vault revokes must end, and all else must end too, at once where the process goes on.
func TestEveryWriteOfEveryOperation(t *testing.T) {
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			for _, d := range storagetest.Breakdowns {
				for n, broke := 0, true; broke; n++ {
					broke = false // else a row that ends early is repeated without end
					t.Run(fmt.Sprintf("%s write %d", d.Name, n+1), func(t *testing.T) {
						broke = o.breakAt(t, d, n)
					})
				}
			}
		})
	}
}

func (o operation) breakAt(t *testing.T, d storagetest.Breakdown, n int) (broke bool) {
	f, b := o.fixture(t), &books{}
	if o.prepare != nil {
		o.prepare(f, b)
		f.broker.AwaitBackground()
	}
	s := d.At(n, f.storage)
	if broke = o.run(f, b, s); !broke && n == 0 {
		t.Error("nothing was written, so nothing was tested")
	}
	if broke && d.Dies {
		f.broker = f.newBroker()
	}
	f.server.ClearFaults()
	f.wantHeld(b)
	f.clock.Advance(time.Minute)
	if broke && o.repeats {
		if err := o.do(t.Context(), f, f.storage, b); err != nil {
			t.Errorf("repeated: %v", err)
		}
		f.broker.AwaitBackground()
	}
	for _, l := range b.revoked {
		f.release(l)
	}
	f.maintain()
	f.wantHeld(b)
	next := f.issue()
	f.wantAlive(next, true)
	f.release(next)
	f.broker.AwaitBackground()
	f.wantHeld(b)
	for _, l := range b.held {
		f.release(l)
	}
	if f.source.Shared {
		if err := f.broker.Unshare(t.Context(), f.storage, f.source.Role); err != nil {
			t.Error(err)
		}
	}
	f.maintain()

	lost := 0
	if points := map[bool][]int{false: o.before, true: o.after}[d.Applied]; broke && d.Dies && points != nil {
		if n >= len(points) {
			t.Fatalf("there are more writes than the %d that are known", len(points))
		}
		lost = points[n]
	}
	before := f.server.Stats()
	if before.Alive != lost {
		t.Errorf("sessions that nobody can end any more: got %d, want %d", before.Alive, lost)
	}
	f.clock.Advance(26 * time.Hour)
	f.maintain()
	f.maintain()
	if s := f.server.Stats(); s.Started != s.LoggedOut+s.Expired || s.Expired != before.Expired+lost {
		t.Errorf("sessions: got %+v, want all of them logged out, but for the %d that expired", s, before.Expired+lost)
	}
	f.wantEmptyLedger()
	if got := f.broker.InMemory(); got != 0 {
		t.Errorf("entries in memory: got %d, want none", got)
	}
	return broke
}

// wantHeld checks that what readers hold lives, and that the ledger knows it.
func (f *fixture) wantHeld(b *books) {
	f.t.Helper()
	for _, l := range b.held {
		f.wantAlive(l, true)
		f.wantState(l, ledger.StateActive)
	}
}
