package ledger_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// Memory keeps the sessions that something is left to be stored of, and those with several leases, for which it saves
// reading them anew. It keeps no others.
func TestWhatMemoryKeeps(t *testing.T) {
	broken := storagetest.Rule{On: storagetest.Writes, Then: storagetest.Fail(storagetest.ErrBroken)}
	for name, tt := range map[string]struct {
		do         func(m *mount, s *ledger.Session, lease ledger.LeaseID)
		kept       bool
		unfinished bool
	}{
		"two leases": {func(*mount, *ledger.Session, ledger.LeaseID) {}, true, false},
		"one lease": {func(m *mount, s *ledger.Session, lease ledger.LeaseID) {
			m.detach(s.ID(), lease, ledger.DetachedStored)
		}, false, false},
		"a release that failed": {func(m *mount, s *ledger.Session, lease ledger.LeaseID) {
			m.storage.Script(broken)
			_, _ = m.Detach(m.t.Context(), s.ID(), lease)
		}, true, true},
		"a release of the first lease that failed": {func(m *mount, s *ledger.Session, _ ledger.LeaseID) {
			m.storage.Script(broken)
			_, _ = m.Detach(m.t.Context(), s.ID(), s.Lease)
		}, true, true},
		"ending": {func(m *mount, s *ledger.Session, _ ledger.LeaseID) {
			m.hold(s.ID(), func(h *ledger.Held) { must(h.BeginEnd(m.t.Context(), ledger.End{Regardless: true})) })
			m.hold(s.ID(), func(h *ledger.Held) { m.ok(h.DropPending(m.t.Context())) })
		}, false, false},
		"ending, owed": {func(m *mount, s *ledger.Session, _ ledger.LeaseID) {
			m.hold(s.ID(), func(h *ledger.Held) { must(h.BeginEnd(m.t.Context(), ledger.End{Regardless: true, Owed: true})) })
		}, false, false},
		"ending, not owed": {func(m *mount, s *ledger.Session, lease ledger.LeaseID) {
			m.detach(s.ID(), lease, ledger.DetachedStored)
			m.detach(s.ID(), s.Lease, ledger.DetachedLast)
			m.hold(s.ID(), func(h *ledger.Held) { must(h.BeginEnd(m.t.Context(), ledger.End{})) })
		}, true, true},
		"logged out, and not removed": {func(m *mount, s *ledger.Session, _ ledger.LeaseID) {
			m.hold(s.ID(), func(h *ledger.Held) {
				must(h.BeginEnd(m.t.Context(), ledger.End{Regardless: true}))
				h.SetLoggedOut()
				m.storage.Script(broken)
				_ = h.Remove(m.t.Context())
			})
		}, true, true},
		"out of the ledger": {func(m *mount, s *ledger.Session, _ ledger.LeaseID) {
			m.end(s.ID(), ledger.End{Regardless: true})
		}, false, false},
		"an end that is due": {func(m *mount, s *ledger.Session, lease ledger.LeaseID) {
			m.detach(s.ID(), lease, ledger.DetachedStored)
			m.Owe(s.ID(), nil)
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			s := newSession("a")
			m.share(s)
			tt.do(m, s, m.attach(s.ID()))
			if m.Len() != 1 {
				t.Error("dropped while it was kept by a call")
			}
			m.Drop(s.ID())
			if kept := m.Len() == 1; kept != tt.kept {
				t.Errorf("kept: %t", kept)
			}
			if unfinished := len(m.Unfinished()) == 1; unfinished != tt.unfinished {
				t.Errorf("unfinished: %t", unfinished)
			}
			if calls, queued := m.Busy(s.ID()); calls+queued != 0 {
				t.Errorf("busy: %d calls, %d queued", calls, queued)
			}
		})
	}
}

// A release that fails is remembered, and stored with the next one on the page or by maintenance; one whose session could
// not be read, too.
func TestNoReleaseIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(on storagetest.Op) storagetest.Rule { return once(on, "", storagetest.Fail(storagetest.ErrBroken)) }
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		leases := m.attachAtOnce(s.ID(), 20)
		left := 21
		for i, on := range []storagetest.Op{storagetest.Put, storagetest.Get, storagetest.List} {
			if on != storagetest.Put {
				m = m.restarted()
			}
			for _, lease := range []ledger.LeaseID{leases[3*i], leases[3*i+1]} {
				m.storage.Script(fail(on))
				if _, err := m.Detach(t.Context(), s.ID(), lease); err == nil {
					t.Error("a call that failed is no error")
				}
			}
			m.wantLeases(s.ID(), left)
			m.storage.Script()
			if i%2 == 0 {
				m.detach(s.ID(), leases[3*i+2], ledger.DetachedStored)
				left -= 3
			} else {
				m.finish()
				left -= 2
			}
			m.wantLeases(s.ID(), left)
			if ids := m.Unfinished(); len(ids) != 0 {
				t.Errorf("unfinished: %v", ids)
			}
		}
		m.storage.Script(fail(storagetest.Put))
		if _, err := m.Detach(t.Context(), s.ID(), s.Lease); err == nil {
			t.Error("a write that failed is no error")
		}
		m.finish()
		m.wantLeases(s.ID(), left-1)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 { // a write goes on without its caller
			for _, lease := range []ledger.LeaseID{leases[10], m.attach(s.ID())} {
				if got, err := m.Detach(canceled, s.ID(), lease); err != nil || got != ledger.DetachedStored {
					t.Errorf("canceled: got %d, %v", got, err)
				}
			}
		}
		m.wantLeases(s.ID(), left-2)
	})
}

// A lease whose write failed may be in storage. Its caller releases it like any other, and learns whether it was the last.
func TestFailedAttach(t *testing.T) {
	for _, then := range []storagetest.Action{storagetest.Fail(storagetest.ErrBroken), storagetest.FailLate(storagetest.ErrBroken)} {
		for _, others := range []bool{true, false} {
			m := newMount(t)
			s := unleased("a")
			m.share(s)
			want := ledger.DetachedLast
			if others {
				m.attach(s.ID())
				want = ledger.DetachedStored
			}
			m.storage.Script(once(storagetest.Put, "lease/", then))
			got, lease, err := m.Attach(t.Context(), s.ID(), anySession)
			if got == nil || lease.IsZero() || err == nil {
				t.Errorf("got %v, %q, %v; want the lease to release, and an error", got, lease, err)
			}
			if ids := m.Unfinished(); len(ids) != 1 {
				t.Errorf("unfinished: %v, want what may be in storage", ids)
			}
			m.detach(s.ID(), lease, want)
			if began := m.end(s.ID(), ledger.End{}); began == others {
				t.Errorf("with others: %t, ended: %t", others, began)
			}
			m.end(s.ID(), ledger.End{Regardless: true})
			m.Drop(s.ID())
			m.wantEmpty("expiry/")
		}
	}
}

// Removal deletes pages, the session, and its index entries, in this order. Its repetition after a logout that succeeded
// goes on with that, and never writes the session again.
func TestRemovalGoesOn(t *testing.T) {
	for n := range 4 {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		m.attach(s.ID())
		m.hold(s.ID(), func(h *ledger.Held) {
			must(h.BeginEnd(t.Context(), ledger.End{Regardless: true, Owed: true}))
			h.SetLoggedOut()
			m.storage.Script(storagetest.Rule{On: storagetest.Delete, Skip: n, Then: storagetest.Fail(storagetest.ErrBroken)})
			if err := h.Remove(t.Context()); err == nil {
				t.Error("a removal that failed is no error")
			}
		})
		var left []string
		for _, key := range m.storage.Keys(t) {
			folder, _, _ := strings.Cut(key, "/")
			left = append(left, folder)
		}
		if want := []string{"expiry lease pending session", "expiry pending session", "expiry pending", "expiry"}[n]; strings.Join(left, " ") != want {
			t.Errorf("left after %d deletes: %v, want %s", n, left, want)
		}
		m.storage.Script(storagetest.Rule{On: storagetest.Put, Then: storagetest.Fail(storagetest.ErrBroken)})
		m.Drop(s.ID())
		if ids := m.Unfinished(); len(ids) != 1 {
			t.Errorf("unfinished: %v", ids)
		}
		m.refuses(s.ID(), "is being removed")
		if !m.end(s.ID(), ledger.End{}) {
			t.Error("not continued")
		}
		if left := m.keys("expiry/"); len(left) != 1 {
			t.Error("the index of its expiry does not lead to what may be left")
		}
		m.sweep(s.ExpiresAt.Add(soon))
		m.wantEmpty()
	}
}
