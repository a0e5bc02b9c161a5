package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// historiesVariable names how many random histories of each kind are tried; by default a few.
const historiesVariable = "LEDGER_HISTORIES"

// seedVariable is the seed of the first one.
const seedVariable = "LEDGER_SEED"

// faults says what happens to calls to storage: each of these to one call in so many, 0 for none.
type faults struct {
	fail, failLate, hang, arrivesLate, slow int
	restarts                                bool
}

// TestRandomHistories plays Vault, readers, operators and Workfront at random against the ledger. It promises that no
// session is logged out under a delivered lease (unless an operator asked for that), that the expiry index leads to all
// that storage holds, and that nothing is left in the end.
func TestRandomHistories(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	histories := number(historiesVariable, 25)
	first := number(seedVariable, rand.Uint64N(1<<32))
	for _, tt := range []struct {
		name string
		faults
		clock bool // the clock is synctest's
	}{
		{"healthy", faults{}, false},
		{"failures", faults{fail: 8}, false},
		{"unknown outcomes", faults{fail: 20, failLate: 8, restarts: true}, false},
		{"slow", faults{slow: 2, fail: 20}, true},
		{"lost calls", faults{slow: 2, fail: 20, failLate: 20, hang: 20}, true},
		{"late writes and failover", faults{slow: 2, fail: 30, failLate: 30, hang: 30, arrivesLate: 15, restarts: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := first; seed < first+histories && !t.Failed(); seed++ {
				play := func(t *testing.T) {
					w := newWorld(t, seed, tt.faults)
					w.play()
					if tt.clock {
						time.Sleep(time.Minute) // calls to storage that were given up end
					}
					if t.Failed() {
						t.Errorf("%s=%d; its end was:\n%s", seedVariable, seed, w.tail())
					}
				}
				if tt.clock {
					synctest.Test(t, play)
				} else {
					play(t)
				}
			}
		})
	}
}

// world is everything around the ledger.
type world struct {
	t       *testing.T
	faults  faults
	storage *storagetest.Storage // what all processes share
	late    later
	fence   sync.RWMutex // held by each write that is carried out, and exclusively by a failover

	mu       sync.Mutex // guards what follows
	rng      *rand.Rand
	view     ledger.View // of the process that is the leader
	fenced   *bool       // set when it is no longer
	healthy  bool
	slots    [3]workfrontSession
	holds    map[leaseOf]bool // delivered leases; false when Vault has begun to revoke them
	excused  map[string]bool  // by session: it may be logged out under leases, and it was not recorded since
	sent     map[string]bool  // by session: a logout was sent
	unclear  bool             // memory was lost, or a write may arrive late: leases that Vault does not have may be left
	log      []string
	sessions int
}

type leaseOf struct{ id, lease string }

// workfrontSession is what Workfront returns to a user: the same one until it is logged out.
type workfrontSession struct {
	token string
	ends  time.Time
}

func newWorld(t *testing.T, seed uint64, f faults) *world {
	w := &world{
		t: t, faults: f, storage: storagetest.New(), rng: rand.New(rand.NewPCG(seed, 0)),
		holds: make(map[leaseOf]bool), excused: make(map[string]bool), sent: make(map[string]bool),
	}
	for i := range w.slots {
		w.slots[i] = w.newSession()
	}
	w.failover()
	return w
}

func (w *world) newSession() workfrontSession {
	w.sessions++
	return workfrontSession{fmt.Sprintf("token %d", w.sessions), start.Add(time.Hour)}
}

func (w *world) note(format string, values ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(format, values...)
}

func (w *world) noteLocked(format string, values ...any) {
	w.log = append(w.log, fmt.Sprintf(format, values...))
}

func (w *world) tail() string { return strings.Join(w.log[max(0, len(w.log)-400):], "\n") }

// oneIn reports true once in n times, never for n = 0.
func (w *world) oneIn(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n > 0 && w.rng.IntN(n) == 0
}

func (w *world) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

func (w *world) current() ledger.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view
}

// failover starts a process that knows nothing. The one before it can write no more: what it has begun is carried out by
// now, or never.
func (w *world) failover() {
	w.fence.Lock()
	defer w.fence.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, write := range w.late.take() {
		if w.rng.IntN(2) == 0 {
			write()
		}
	}
	if w.fenced != nil {
		*w.fenced = true
		w.unclear = true
	}
	fenced := new(bool)
	w.fenced = fenced
	w.view = ledger.New().In(storagetest.Over(w.storage, storagetest.Rule{On: storagetest.Any, Then: func(
		ctx context.Context, c storagetest.Call, next storagetest.Next,
	) error {
		return w.call(ctx, c, next, fenced)
	}}))
	w.noteLocked("failover")
}

func (w *world) call(ctx context.Context, c storagetest.Call, next storagetest.Next, fenced *bool) error {
	w.mu.Lock()
	healthy := w.healthy
	w.mu.Unlock()
	name := map[storagetest.Op]string{
		storagetest.Get: "get", storagetest.Put: "put", storagetest.Delete: "delete", storagetest.List: "list",
	}[c.Op]
	write := c.Op&storagetest.Writes != 0
	carryOut := func(ctx context.Context) error {
		if !write {
			return next(ctx)
		}
		w.fence.RLock()
		defer w.fence.RUnlock()
		if *fenced {
			return logical.ErrReadOnly
		}
		err := next(ctx)
		w.note("  %s %s: %v", name, c.Key, err)
		return err
	}
	f := w.faults
	switch {
	case healthy:
	case w.oneIn(f.slow):
		time.Sleep(time.Duration(w.intN(700)) * time.Millisecond)
	}
	switch {
	case healthy:
		return carryOut(ctx)
	case w.oneIn(f.fail):
		w.note("  %s %s fails", name, c.Key)
		return storagetest.ErrBroken
	case w.oneIn(f.failLate):
		w.note("  %s %s fails late", name, c.Key)
		if write {
			w.setUnclear()
		}
		return storagetest.FailLate(storagetest.ErrBroken)(ctx, c, carryOut)
	case w.oneIn(f.hang):
		w.note("  %s %s hangs", name, c.Key)
		return storagetest.Hang(ctx, c, carryOut)
	case write && w.oneIn(f.arrivesLate):
		w.note("  %s %s hangs, and arrives later", name, c.Key)
		w.setUnclear()
		return w.late.Keep(ctx, c, func(ctx context.Context) error {
			if *fenced {
				return logical.ErrReadOnly
			}
			w.log = append(w.log, "  arrives late: "+name+" "+c.Key)
			return next(ctx)
		})
	}
	return carryOut(ctx)
}

func (w *world) setUnclear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unclear = true
}

// arrive carries out the late writes.
func (w *world) arrive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late.arrive()
}

func (w *world) play() {
	for range 6 {
		var group sync.WaitGroup
		for range 12 {
			group.Go(w.act)
		}
		group.Wait()
		wantIndexed(w.t, w.storage)
	}
	w.settle()
}

// act does one thing at random.
func (w *world) act() {
	if w.faults.slow > 0 {
		time.Sleep(time.Duration(w.intN(9000)) * time.Millisecond)
	}
	ctx := w.t.Context()
	v, slot := w.current(), w.intN(len(w.slots))
	switch what := w.intN(100); {
	case what < 45:
		w.read(ctx, v, slot)
	case what < 80:
		w.revoke(ctx, v)
	case what < 84:
		w.delete(ctx, v, slot)
	case what < 88:
		w.maintain(ctx, v)
	case what < 92:
		w.gone(ctx, v, slot)
	case what < 95:
		w.extend(slot)
	case what < 97:
		v.Invalidate(map[bool]string{true: "session/", false: "lease/"}[w.oneIn(2)] + w.idOf(slot))
	case what < 98 && w.faults.restarts:
		w.failover()
	default:
		w.arrive()
	}
}

func (w *world) exchange(slot int) *ledger.Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := newSession(w.slots[slot].token)
	s.ExpiresAt = w.slots[slot].ends
	return s
}

func (w *world) idOf(slot int) string { return w.exchange(slot).ID() }

// extend has Workfront state another expiry.
func (w *world) extend(slot int) {
	hours := time.Duration(1 + w.intN(3))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[slot].ends = start.Add(hours * time.Hour)
}

// read is what a reader of a shared role does.
func (w *world) read(ctx context.Context, v ledger.View, slot int) {
	fresh := w.exchange(slot)
	id := fresh.ID()
	v.Keep(id)
	defer v.Drop(id)
	for range 3 {
		s, lease, err := v.Attach(ctx, id, anySession)
		if s == nil && err == nil {
			lease, err = w.record(ctx, v, fresh)
			if err == nil && lease.IsZero() {
				continue
			}
		}
		if err == nil {
			w.deliver(id, lease)
			return
		}
		if !lease.IsZero() {
			_ = w.release(ctx, v, id, lease)
		}
		if !errors.Is(err, ledger.ErrMoved) {
			break
		}
	}
	// The session may have been recorded for this reader alone.
	h, err := v.Hold(ctx, id)
	if err != nil {
		v.Owe(id, nil)
		return
	}
	defer h.Release()
	_, _ = w.endUnleased(ctx, h)
}

// record returns no lease if the session is known, and can be attached to.
func (w *world) record(ctx context.Context, v ledger.View, fresh *ledger.Session) (ledger.LeaseID, error) {
	h, err := v.Hold(ctx, fresh.ID())
	if err != nil {
		v.Owe(fresh.ID(), fresh)
		return ledger.LeaseID{}, err
	}
	defer h.Release()
	w.mu.Lock()
	out := w.sent[fresh.ID()]
	w.mu.Unlock()
	if out {
		return ledger.LeaseID{}, errors.New("logged out since it was exchanged")
	}
	s := fresh
	if known := h.Stored(); known != nil {
		s = changed(known, func(s *ledger.Session) { s.ExpiresAt = fresh.ExpiresAt })
	}
	if err := h.Record(ctx, s); err != nil {
		w.note("record %s: %v", fresh.ID(), err)
		if h.Ending() {
			_, _ = w.end(ctx, h, ledger.End{Owed: true})
		}
		return ledger.LeaseID{}, err
	}
	w.mu.Lock()
	if v == w.view && !w.sent[fresh.ID()] { // else another node's end is under way
		delete(w.excused, fresh.ID())
	}
	w.noteLocked("recorded %s", fresh.ID())
	w.mu.Unlock()
	if s.Lease != fresh.Lease || h.Session().Lease != fresh.Lease {
		return ledger.LeaseID{}, nil
	}
	return fresh.Lease, nil
}

func (w *world) deliver(id string, lease ledger.LeaseID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked("delivered %s on %s", lease, id)
	if w.sent[id] && !w.excused[id] {
		w.t.Errorf("lease %s was delivered on session %s, which is logged out", lease, id)
	}
	w.holds[leaseOf{id, lease.String()}] = true
}

// revoke revokes one of the leases that Vault has, up to three times at once.
func (w *world) revoke(ctx context.Context, v ledger.View) {
	w.mu.Lock()
	leases := make([]leaseOf, 0, len(w.holds))
	for lease := range w.holds {
		leases = append(leases, lease)
	}
	slices.SortFunc(leases, func(a, b leaseOf) int { return strings.Compare(a.id+a.lease, b.id+b.lease) })
	if len(leases) == 0 {
		w.mu.Unlock()
		return
	}
	lease := leases[w.rng.IntN(len(leases))]
	w.holds[lease] = false
	w.noteLocked("revoking %s on %s", lease.lease, lease.id)
	w.mu.Unlock()
	if w.faults.slow > 0 && !w.isHealthy() && w.oneIn(4) {
		leaving, leave := context.WithTimeout(ctx, time.Duration(w.intN(3000))*time.Millisecond)
		defer leave()
		ctx = leaving
	}
	var group sync.WaitGroup
	for range 1 + w.intN(3) {
		group.Go(func() { w.revokeOne(ctx, v, lease) })
	}
	group.Wait()
}

func (w *world) revokeOne(ctx context.Context, v ledger.View, lease leaseOf) {
	parsed, err := ledger.ParseLeaseID(lease.lease)
	if err != nil {
		w.t.Error(err)
		return
	}
	err = w.release(ctx, v, lease.id, parsed)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked("revoked %s: %v", lease.lease, err)
	if err == nil {
		delete(w.holds, lease)
	}
}

// release is what the broker does at a revocation.
func (w *world) release(ctx context.Context, v ledger.View, id string, lease ledger.LeaseID) error {
	for {
		released, err := v.Detach(ctx, id, lease)
		if err != nil || released != ledger.DetachedLast {
			return err
		}
		h, err := v.Hold(ctx, id)
		if err != nil {
			return err
		}
		again, err := w.endUnleased(ctx, h)
		h.Release()
		if !again {
			return err
		}
	}
}

func (w *world) endUnleased(ctx context.Context, h *ledger.Held) (leased bool, err error) {
	switch s := h.Session(); {
	case s == nil:
		return false, nil
	case h.Leased():
		return true, nil
	case !s.PendingSince.IsZero() && !h.LoggedOut():
		return false, h.Finish(ctx)
	}
	began, err := w.end(ctx, h, ledger.End{})
	return !began && err == nil, err
}

// end logs a session out, which fails at times.
func (w *world) end(ctx context.Context, h *ledger.Held, how ledger.End) (began bool, err error) {
	if h.LoggedOut() {
		return true, h.Remove(ctx)
	}
	if began, err = h.BeginEnd(ctx, how); err != nil || !began {
		return began, err
	}
	w.logout(h)
	if w.oneIn(3) && w.faults.fail > 0 && !w.isHealthy() {
		w.note("logout of %s fails", h.ID())
		return true, h.SetPending(ctx, start, false)
	}
	w.mu.Lock()
	for i, s := range w.slots {
		if newSession(s.token).ID() == h.ID() {
			w.slots[i] = w.newSession()
		}
	}
	w.mu.Unlock()
	h.SetLoggedOut()
	err = h.Remove(ctx)
	w.note("removed %s: %v", h.ID(), err)
	return true, err
}

func (w *world) isHealthy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.healthy
}

func (w *world) logout(h *ledger.Held) {
	stored := h.Stored() != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked("logout of %s", h.ID())
	if !stored {
		// It could not be recorded, so nothing is written before the logout. A node that fails there does not know what the
		// new leader issues: a known limit.
		w.excused[h.ID()] = true
	}
	w.sent[h.ID()] = true
	for lease, delivered := range w.holds {
		if delivered && lease.id == h.ID() && !w.excused[h.ID()] {
			w.t.Errorf("session %s is logged out under lease %s", h.ID(), lease.lease)
		}
	}
}

func (w *world) delete(ctx context.Context, v ledger.View, slot int) {
	h, err := v.Hold(ctx, w.idOf(slot))
	if err != nil || h.Session() == nil {
		if err == nil {
			h.Release()
		}
		return
	}
	defer h.Release()
	w.mu.Lock()
	w.excused[h.ID()] = true
	w.noteLocked("delete %s", h.ID())
	w.mu.Unlock()
	_, _ = w.end(ctx, h, ledger.End{Regardless: true, Owed: true})
}

func (w *world) gone(ctx context.Context, v ledger.View, slot int) {
	h, err := v.Hold(ctx, w.idOf(slot))
	if err != nil {
		return
	}
	defer h.Release()
	if s := h.Session(); s == nil || s.State != ledger.StateActive || h.Ending() {
		return
	}
	if err := h.SetGone(ctx); err == nil && !h.Leased() {
		_, _ = w.end(ctx, h, ledger.End{Owed: true})
	}
}

// maintain is what maintenance does with what memory knows, and with pending logouts.
func (w *world) maintain(ctx context.Context, v ledger.View) {
	for _, id := range v.Unfinished() {
		w.held(ctx, v, id, func(h *ledger.Held) {
			s := h.Session()
			switch {
			case !h.Unfinished():
			case s == nil || h.Leased() && !h.Regardless() || !s.PendingSince.IsZero() && !h.LoggedOut() && h.Stored() != nil:
				_ = h.Finish(ctx)
			default:
				_, _ = w.end(ctx, h, ledger.End{Owed: true})
			}
		})
	}
	ids, _ := v.Pending(ctx)
	for _, id := range ids {
		w.held(ctx, v, id, func(h *ledger.Held) {
			if h.Session() == nil || !h.Ending() {
				_ = h.DropPending(ctx)
				return
			}
			_, _ = w.end(ctx, h, ledger.End{})
		})
	}
}

func (w *world) held(ctx context.Context, v ledger.View, id string, do func(h *ledger.Held)) {
	if h, err := v.Hold(ctx, id); err == nil {
		defer h.Release()
		do(h)
	}
}

// settle has storage work, Vault revoke everything, and maintenance run; then nothing is left.
func (w *world) settle() {
	w.mu.Lock()
	w.healthy = true
	w.noteLocked("storage is healthy")
	v := w.view
	w.mu.Unlock()
	ctx := w.t.Context()
	w.arrive()
	for len(w.holds) > 0 {
		before := len(w.holds)
		w.revoke(ctx, v)
		if len(w.holds) == before {
			w.t.Fatalf("a revocation fails with healthy storage")
		}
	}
	for range 2 {
		w.maintain(ctx, v)
	}
	m := &mount{v, w.t, w.storage}
	if !w.unclear {
		if ids := m.Unfinished(); len(ids) != 0 {
			w.t.Errorf("unfinished: %v", ids)
		}
		if left := m.keys("session/", "lease/", "pending/"); len(left) != 0 {
			w.t.Errorf("left in storage before the sweep: %v", left)
		}
	}
	wantIndexed(w.t, w.storage)
	m.sweep(start.Add(1000 * time.Hour))
	m.wantEmpty("pending/")
}
