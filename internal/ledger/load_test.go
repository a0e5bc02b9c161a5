package ledger_test

import (
	"testing"
	"testing/synctest"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// A release that comes while another call reads the session is not taken for one of a session that is not there.
func TestReleaseDuringLoading(t *testing.T) {
	for _, own := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t)
			s := newSession("a")
			m.share(s)
			lease := m.attach(s.ID())
			if own {
				lease = s.Lease
			}
			m = m.restarted()
			gate := storagetest.NewGate()
			m.storage.Script(once(storagetest.Get, "session/", gate.Hold))
			go m.hold(s.ID(), func(*ledger.Held) {})
			<-gate.Reached
			done := make(chan struct{})
			go func() { defer close(done); m.detach(s.ID(), lease, ledger.DetachedStored) }()
			synctest.Wait()
			gate.Open()
			<-done
			synctest.Wait()
			m.restarted().wantLeases(s.ID(), 1)
		})
	}
}

// While a session is read anew, nothing is issued by what memory had before.
func TestNoLeaseDuringLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		m.attach(s.ID())
		m.restarted().hold(s.ID(), func(h *ledger.Held) { m.ok(h.SetGone(t.Context())) })
		m.Invalidate("session/" + s.ID())
		gate := storagetest.NewGate()
		m.storage.Script(once(storagetest.Get, "session/", gate.Hold))
		go m.hold(s.ID(), func(*ledger.Held) {})
		<-gate.Reached
		m.refuses(s.ID(), "is being read")
		if s, read := m.Peek(s.ID()); read {
			t.Errorf("memory claims to be up to date: %v", s)
		}
		gate.Open()
		synctest.Wait()
	})
}

// Read anew after another node has written, memory has that node's leases, and what was released here stays released.
func TestInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		leases := append(m.attachAtOnce(s.ID(), 8), m.attach(s.ID()))
		m.storage.Script(once(storagetest.Put, "lease/", storagetest.Fail(storagetest.ErrBroken)))
		if _, err := m.Detach(t.Context(), s.ID(), leases[0]); err == nil {
			t.Error("a write that failed is no error")
		}
		other := m.restarted()
		other.share(s)
		theirs := other.attach(s.ID())
		for _, lease := range []ledger.LeaseID{leases[1], leases[8], s.Lease} {
			other.detach(s.ID(), lease, ledger.DetachedStored)
		}
		for _, key := range m.keys("lease/", "session/") {
			m.Invalidate(key)
		}
		m.Invalidate("expiry/" + s.ID()) // not of a session
		m.refuses(s.ID(), "is unread")
		if s, read := m.Peek(s.ID()); s != nil && read {
			t.Error("memory claims to be up to date")
		}
		for i, lease := range append(leases, s.Lease, theirs) {
			if i == 0 || i == 1 || i == 8 || i == 9 {
				continue // released
			}
			if m.end(s.ID(), ledger.End{}) {
				t.Fatalf("ended under lease %d", i)
			}
			m.detach(s.ID(), lease, map[bool]ledger.Detached{true: ledger.DetachedLast}[lease == theirs])
		}
		if !m.end(s.ID(), ledger.End{}) {
			t.Error("not ended without a lease")
		}
		m.Drop(s.ID())
		m.wantEmpty("expiry/")
	})
}

// A reread waits for those that hold the session, and gives up when they begin to end it.
func TestReread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		var live bool
		reread := func() func() (error, bool) {
			return started(func() (err error) { live, err = m.Reread(t.Context(), s.ID()); return err })
		}
		m.Invalidate("session/" + s.ID())
		if err, _ := reread()(); err != nil || !live {
			t.Errorf("got %t, %v", live, err)
		}
		m.attach(s.ID())
		for range 2 { // a waiting one, and one that was recorded again in between
			var result func() (error, bool)
			m.hold(s.ID(), func(h *ledger.Held) {
				result = reread()
				if err, returned := result(); returned {
					t.Errorf("returned %v while another call holds the session", err)
				}
				must(h.BeginEnd(t.Context(), ledger.End{Regardless: true}))
				if err, returned := result(); !returned || err != nil || live {
					t.Errorf("the end has begun: got %t, %v, returned: %t", live, err, returned)
				}
				if err, returned := reread()(); !returned || err != nil || live {
					t.Errorf("of one that is ending: got %t, %v, returned: %t", live, err, returned)
				}
				m.ok(h.Record(t.Context(), s))
				result = reread()
			})
			if err, returned := result(); !returned || err != nil || !live {
				t.Errorf("recorded again: got %t, %v, returned: %t", live, err, returned)
			}
		}
	})
}

// A session that is invalidated while it is being read is to be read anew.
func TestInvalidateDuringLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		m.Invalidate("session/" + s.ID())
		gate := storagetest.NewGate()
		m.storage.Script(once(storagetest.List, "lease/", gate.Hold))
		go m.hold(s.ID(), func(*ledger.Held) {})
		<-gate.Reached
		m.Invalidate("session/" + s.ID())
		gate.Open()
		synctest.Wait()
		m.refuses(s.ID(), "was invalidated while it was being read")
	})
}

// A page that is written while the session is read anew is not forgotten, although the list did not have it yet.
func TestLoadingDuringAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		gate := storagetest.NewGate()
		m.storage.Script(once(storagetest.Put, "lease/", gate.Hold))
		attached := started(func() error { _, _, err := m.Attach(t.Context(), s.ID(), anySession); return err })
		<-gate.Reached
		m.Invalidate("session/" + s.ID())
		m.hold(s.ID(), func(*ledger.Held) {})
		gate.Open()
		if err, _ := attached(); err != nil {
			t.Errorf("got %v", err)
		}
		m.detach(s.ID(), s.Lease, ledger.DetachedStored)
		m.wantLeases(s.ID(), 1)
	})
}
