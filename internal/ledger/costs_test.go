package ledger_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"vault-plugin-secrets-workfront/internal/ledger"
)

func (m *mount) wantCosts(what, want string, do func()) {
	m.t.Helper()
	if got := m.costs(do); got != want {
		m.t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

// What reads and revocations cost, in calls to storage: gets, lists, puts and deletes.
func TestCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		id := s.ID()
		m.wantCosts("record", "G1 P2", func() { m.record(s) })
		m.wantCosts("record again as it is", "G1 L1", func() { m.record(s) })
		m.wantCosts("revoke", "G1 L1", func() { m.detach(id, s.Lease, ledger.DetachedLast) })
		m.wantCosts("end", "P1 D2", func() { m.end(id, ledger.End{}) })
		m.wantCosts("revoke again", "G1", func() { m.detach(id, s.Lease, ledger.DetachedMissing) })
		m.wantEmpty()

		s = newSession("b")
		id = s.ID()
		m.share(s)
		var lease ledger.LeaseID
		m.wantCosts("attach", "P1", func() { lease = m.attach(id) })
		m.wantCosts("count", "L1", func() { must(m.Leases(t.Context(), unleased("b"))) })
		m.wantCosts("release one of many", "D1", func() { m.detach(id, lease, ledger.DetachedStored) })
		m.wantCosts("release it again", "", func() { m.detach(id, lease, ledger.DetachedStored) })
		var leases []ledger.LeaseID
		// One alone, those that came in the meantime, and the release of the first.
		m.wantCosts("attach 65 at once", "P2 D1", func() { leases = m.attachAtOnce(id, 64) })
		m.wantCosts("release one of a page", "P1", func() { m.detach(id, leases[0], ledger.DetachedStored) })
		m.wantCosts("release that of the session", "P1", func() { m.detach(id, s.Lease, ledger.DetachedStored) })
		m = m.restarted()
		m.Keep(id)
		m.wantCosts("the same, unread", "G2 L1 P1", func() { m.detach(id, leases[1], ledger.DetachedStored) })
		for _, lease := range leases[2:63] {
			m.detach(id, lease, ledger.DetachedStored)
		}
		m.wantCosts("release the last", "", func() { m.detach(id, leases[63], ledger.DetachedLast) })
		m.wantCosts("end with a page", "P1 D3", func() { m.end(id, ledger.End{}) })
		m.Drop(id)
		m.wantEmpty()

		m.hold(id, func(h *ledger.Held) {
			h.Adopt(s)
			m.wantCosts("end one that is not in storage", "", func() {
				must(h.BeginEnd(t.Context(), ledger.End{Owed: true}))
				h.SetLoggedOut()
				m.ok(h.Remove(t.Context()))
			})
		})
		m.record(s)
		m.hold(id, func(h *ledger.Held) {
			must(h.BeginEnd(t.Context(), ledger.End{Regardless: true}))
			m.wantCosts("try the logout again", "P1", func() { must(h.BeginEnd(t.Context(), ledger.End{})) })
			h.SetLoggedOut()
			m.wantCosts("once it has succeeded", "", func() { must(h.BeginEnd(t.Context(), ledger.End{})) })
		})
	})
}

// As many readers as fit share a page. Those that come while two full pages wait are not held up by anything else.
func TestFullPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := unleased("a")
		m.share(s)
		m.wantCosts("attach 131 at once", "P4 D1", func() { m.attachAtOnce(s.ID(), 130) })
		pages := make(map[string]int)
		for _, key := range m.keys("lease/") {
			pages[key[len(key)-2:]]++
		}
		if len(pages) != 2 || pages["64"] != 2 || pages[".2"] != 1 {
			t.Errorf("pages by the leases that they were written with: %v", pages)
		}
	})
}

// writePages stores a session with so many pages of n leases.
func (m *mount) writePages(s *ledger.Session, pages, n int) {
	m.record(s)
	value := fmt.Sprintf(`{"version":3,"left":"%016x"}`, ^uint64(0)>>(64-n))
	for i := range pages {
		m.storage.Set(m.t, fmt.Sprintf("lease/%s/%016x.%d", s.ID(), uint64(i+1)*0x9e3779b97f4a7c15, n), value)
	}
}

// A session loads with one get and one list, however many leases it has and however its pages have shrunk. A page that was
// written with one lease is never read, and each of the others once.
func TestLoadManyLeases(t *testing.T) {
	for name, tt := range map[string]struct{ pages, n int }{"full pages": {1563, 64}, "pages of one": {100_000, 1}} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			s := unleased("a")
			m.writePages(s, tt.pages, tt.n)
			heap := func() uint64 {
				runtime.GC()
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				return stats.HeapAlloc
			}
			m = m.restarted()
			m.Keep(s.ID())
			before := heap()
			m.wantCosts("load", "G1 L1", func() { m.hold(s.ID(), func(*ledger.Held) {}) })
			added := float64(heap()-before) / (1 << 20)
			t.Logf("%d pages of %d leases: %.2f MiB", tt.pages, tt.n, added)
			if limit := map[int]float64{1: 6, 64: 2}[tt.n]; added > limit {
				t.Errorf("memory: got %.2f MiB, want %.0f at most", added, limit)
			}
			lease := func(page uint64, bit int) ledger.LeaseID {
				return must(ledger.ParseLeaseID(fmt.Sprintf("%016x.%d-%d", page*0x9e3779b97f4a7c15, tt.n, bit)))
			}
			for page := range uint64(3) {
				for bit := range tt.n {
					want := map[[2]bool]string{{true, true}: "G1 P1", {true, false}: "P1", {false, false}: "D1"}
					what := [2]bool{tt.n > 1 && bit < tt.n-1, bit == 0 && tt.n > 1}
					m.wantCosts("release", want[what], func() { m.detach(s.ID(), lease(page+1, bit), ledger.DetachedStored) })
				}
			}
			runtime.KeepAlive(m)
		})
	}
}
