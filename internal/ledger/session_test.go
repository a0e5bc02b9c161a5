package ledger_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// wantState checks the state of a session in storage, and whether it gets leases.
func (m *mount) wantState(id, after string, want ledger.State) {
	m.t.Helper()
	if s, err := m.Get(m.t.Context(), id); err != nil || s == nil || s.State != want {
		m.t.Errorf("%s: in storage %+v, %v; want %s", after, s, err, want)
	}
	s, lease, err := m.Attach(m.t.Context(), id, anySession)
	if issued := s != nil; err != nil || issued != (want == ledger.StateActive) {
		m.t.Errorf("%s: issued: %t, %v", after, issued, err)
	} else if issued {
		m.detach(id, lease, ledger.DetachedStored)
	}
	if s, read := m.Peek(id); !read || (s != nil && s.State == ledger.StateActive) != (want == ledger.StateActive) {
		m.t.Errorf("%s: peek got %+v, read: %t", after, s, read)
	}
	if ending := m.IsEnding(id); ending != (want == ledger.StateEnding) {
		m.t.Errorf("%s: ending: %t", after, ending)
	}
}

// Each state is left as it should be, and only an active session is issued.
func TestStates(t *testing.T) {
	m := newMount(t)
	s := newSession("a")
	id := s.ID()
	m.share(s)
	m.wantState(id, "recorded", ledger.StateActive)
	m.hold(id, func(h *ledger.Held) {
		m.ok(h.SetGone(t.Context()))
		m.wantState(id, "gone", ledger.StateGone)
		if began, err := h.BeginEnd(t.Context(), ledger.End{}); began || err != nil {
			t.Errorf("gone, ended under a lease: %t, %v", began, err)
		}
		m.ok(h.Record(t.Context(), s))
		m.wantState(id, "gone and recorded again", ledger.StateActive)
		m.ok(h.SetGone(t.Context()))
		m.detach(id, s.Lease, ledger.DetachedLast)
		if began, err := h.BeginEnd(t.Context(), ledger.End{}); !began || err != nil {
			t.Errorf("gone, not ended with its last lease: %t, %v", began, err)
		}
		m.wantState(id, "its last lease released", ledger.StateEnding)
		m.ok(h.SetPending(t.Context(), start, false))
		m.wantState(id, "its logout failed", ledger.StateEnding)
	})
	m.hold(id, func(h *ledger.Held) {
		again := changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(-time.Second) })
		m.ok(h.Record(t.Context(), again))
		if got := h.Session(); !got.Lease.IsZero() || !got.PendingSince.IsZero() || got.Owed || !got.ExpiresAt.Equal(again.ExpiresAt) {
			t.Errorf("recorded again: got %+v", got)
		}
		if stored := must(m.Get(t.Context(), id)); !stored.ExpiresAt.Equal(again.ExpiresAt) {
			t.Errorf("an earlier expiry is not stored: %s", stored.ExpiresAt)
		}
	})
	lease := m.attach(id)
	m.wantState(id, "ending and recorded again", ledger.StateActive)
	if left := m.keys("pending/"); len(left) != 0 {
		t.Errorf("in the index of pending logouts: %v", left)
	}
	m.Invalidate("session/" + id)
	m.refuses(id, "is unread")
	m.detach(id, lease, ledger.DetachedLast)
	if !m.end(id, ledger.End{}) {
		t.Error("not ended")
	}
	m.refuses(id, "is out of the ledger")
	m.Drop(id)
	m.wantEmpty()
}

// A session is active only once its entry is stored. One that could not be recorded is there to be ended, and its end
// begins without a write.
func TestNotRecorded(t *testing.T) {
	for n, prefix := range []string{"expiry/", "session/"} {
		m := newMount(t)
		s := newSession("a")
		m.Keep(s.ID())
		m.storage.Script(storagetest.Rule{On: storagetest.Put, Prefix: prefix, Then: storagetest.Fail(storagetest.ErrBroken)})
		m.hold(s.ID(), func(h *ledger.Held) {
			if err := h.Record(t.Context(), s); !errors.Is(err, storagetest.ErrBroken) {
				t.Errorf("record: got %v", err)
			}
			m.refuses(s.ID(), "could not be recorded")
			if h.Stored() != nil || h.Session() == nil || !h.Ending() || len(m.Unstored()) != 1 {
				t.Errorf("stored %v, session %v, unstored %v", h.Stored(), h.Session(), m.Unstored())
			}
			if costs := m.costs(func() { must(h.BeginEnd(t.Context(), ledger.End{Owed: true})) }); costs != "" {
				t.Errorf("the end of a session that is not in storage began with %s", costs)
			}
		})
		m.Drop(s.ID())
		if ids := m.Unfinished(); len(ids) != 1 {
			t.Errorf("unfinished: %v", ids)
		}
		m.storage.Script()
		m.hold(s.ID(), func(h *ledger.Held) {
			h.SetLoggedOut()
			m.ok(h.Remove(t.Context()))
		})
		m.wantEmpty([]string{"", "expiry/"}[min(n, 1):]...)
	}
}

// What a session that was known is recorded with may fail to be stored. It is read anew then, and issued as storage has it.
func TestRecordedAgainFails(t *testing.T) {
	m := newMount(t)
	s := newSession("a")
	m.share(s)
	m.hold(s.ID(), func(h *ledger.Held) {
		m.storage.Script(once(storagetest.Put, "session/", storagetest.FailLate(storagetest.ErrBroken)))
		later := changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(time.Hour) })
		if err := h.Record(t.Context(), later); err == nil {
			t.Error("a failed write is no error")
		}
	})
	m.refuses(s.ID(), "is to be read anew")
	m.hold(s.ID(), func(h *ledger.Held) {
		if got := h.Session().ExpiresAt.Sub(s.ExpiresAt); got != time.Hour || h.Session().Lease != s.Lease {
			t.Errorf("read anew: %+v", h.Session())
		}
	})
	m.attach(s.ID())
}

// Leases decide also while a session is ending: only what was told to end regardless of them does, by a flag that is set
// before the first write, or by both entries in storage.
func TestLeasesDecide(t *testing.T) {
	begin := func(m *mount, id string, how ledger.End) (began bool, err error) {
		m.hold(id, func(h *ledger.Held) { began, err = h.BeginEnd(t.Context(), how) })
		return began, err
	}
	regardless := ledger.End{Regardless: true, Owed: true}
	t.Run("a failed end regardless is continued", func(t *testing.T) {
		for n := range 2 {
			m := newMount(t)
			s := newSession("a")
			m.record(s)
			m.storage.Script(storagetest.Rule{On: storagetest.Put, Skip: n, Then: storagetest.Fail(storagetest.ErrBroken)})
			if began, err := begin(m, s.ID(), regardless); began || err == nil {
				t.Errorf("got %t, %v", began, err)
			}
			m.storage.Script()
			if ids := m.Unfinished(); len(ids) != 1 {
				t.Errorf("unfinished: %v", ids)
			}
			if !m.end(s.ID(), ledger.End{}) {
				t.Error("not continued")
			}
			m.wantEmpty("expiry/")
		}
	})
	t.Run("it is continued by a new process", func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.record(s)
		must(begin(m, s.ID(), regardless))
		if n := m.Len(); n != 0 {
			t.Errorf("in memory although storage says that it is owed: %d", n)
		}
		if !m.restarted().end(s.ID(), ledger.End{}) {
			t.Error("not continued")
		}
		m.wantEmpty()
	})
	for _, gone := range []string{"pending/", "session/"} { // a late write of one of the two entries ends nothing
		t.Run("without "+gone, func(t *testing.T) {
			m := newMount(t)
			s := newSession("a")
			m.record(s)
			active := m.storage.Value(t, "session/"+s.ID())
			must(begin(m, s.ID(), regardless))
			if gone == "session/" {
				m.storage.Set(t, "session/"+s.ID(), active)
			} else {
				m.hold(s.ID(), func(h *ledger.Held) { m.ok(h.DropPending(t.Context())) })
			}
			m = m.restarted()
			m.Keep(s.ID())
			m.hold(s.ID(), func(h *ledger.Held) {
				if h.Regardless() {
					t.Error("ends regardless of its leases")
				}
				if began, err := h.BeginEnd(t.Context(), ledger.End{}); began || err != nil {
					t.Errorf("ended under a lease: %t, %v", began, err)
				}
			})
			m.detach(s.ID(), s.Lease, ledger.DetachedLast)
		})
	}
	t.Run("recording clears it", func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		must(begin(m, s.ID(), regardless))
		m.refuses(s.ID(), "is ending")
		m.record(s)
		m.attach(s.ID())
		if began, err := begin(m, s.ID(), ledger.End{}); began || err != nil {
			t.Errorf("ended under a lease: %t, %v", began, err)
		}
		if began, _ := begin(m.restarted(), s.ID(), ledger.End{}); began {
			t.Error("ended under a lease in a new process")
		}
	})
	t.Run("the last of several", func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		leases := []ledger.LeaseID{m.attach(s.ID()), s.Lease, m.attach(s.ID())}
		for i, lease := range leases {
			if began, err := begin(m, s.ID(), ledger.End{}); began || err != nil {
				t.Errorf("ended under %d leases: %t, %v", len(leases)-i, began, err)
			}
			for range 2 {
				m.detach(s.ID(), lease, map[bool]ledger.Detached{true: ledger.DetachedLast}[i == 2])
			}
		}
	})
}

// A lease that is attached while its session begins to end, or is to be read anew, is not delivered, and can be released.
func TestMovedDuringAttach(t *testing.T) {
	for name, do := range map[string]func(m *mount, id string){
		"ended": func(m *mount, id string) {
			m.hold(id, func(h *ledger.Held) { must(h.BeginEnd(m.t.Context(), ledger.End{Regardless: true})) })
		},
		"gone":        func(m *mount, id string) { m.hold(id, func(h *ledger.Held) { m.ok(h.SetGone(m.t.Context())) }) },
		"invalidated": func(m *mount, id string) { m.Invalidate("session/" + id) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t)
				s := newSession("a")
				m.share(s)
				gate := storagetest.NewGate()
				m.storage.Script(once(storagetest.Put, "lease/", gate.Hold))
				var lease ledger.LeaseID
				attached := started(func() (err error) {
					_, lease, err = m.Attach(t.Context(), s.ID(), anySession)
					return err
				})
				<-gate.Reached
				do(m, s.ID())
				gate.Open()
				if err, _ := attached(); !errors.Is(err, ledger.ErrMoved) {
					t.Errorf("got %v", err)
				}
				m.detach(s.ID(), lease, ledger.DetachedStored)
				m.restarted().wantLeases(s.ID(), 1)
			})
		})
	}
}
