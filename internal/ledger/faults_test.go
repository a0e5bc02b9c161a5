package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// A release that is repeated while the first one is being stored returns when that is stored, and not before.
func TestRepeatedReleaseWaitsForTheFirst(t *testing.T) {
	for _, kind := range []string{"page of one", "full page", "own"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t)
				s := newSession("a")
				m.share(s)
				lease := m.attach(s.ID())
				switch kind {
				case "full page":
					lease = m.attachAtOnce(s.ID(), 64)[7]
				case "own":
					lease = s.Lease
				}
				before := m.keys("lease/", "session/")
				gate := storagetest.NewGate()
				m.storage.Script(once(storagetest.Writes, "", gate.Hold))
				first := m.detaching(t.Context(), s.ID(), lease)
				<-gate.Reached
				again := m.detaching(t.Context(), s.ID(), lease)
				leaving, leave := context.WithCancel(t.Context())
				gone := m.detaching(leaving, s.ID(), lease)
				leave()
				if err, returned := again(); returned {
					t.Errorf("the repetition returned %v before anything was stored", err)
				}
				if err, _ := gone(); !errors.Is(err, context.Canceled) {
					t.Errorf("one whose caller left: got %v", err)
				}
				gate.Open()
				for _, result := range []func() (error, bool){first, again} {
					if err, returned := result(); !returned || err != nil {
						t.Errorf("got %v, returned: %t", err, returned)
					}
				}
				count, err := m.Leases(t.Context(), must(m.Get(t.Context(), s.ID())))
				want := map[string]int{"page of one": 1, "full page": 65, "own": 1}[kind]
				if err != nil || count != want {
					t.Errorf("leases in storage: got %d, %v; want %d (before: %v)", count, err, want, before)
				}
			})
		})
	}
}

// A write of a page hangs; its release and two others on the page are repeated. In the end storage has those that Vault has.
func TestHangingWriteOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		leases := m.attachAtOnce(s.ID(), 6)
		m.storage.Script(once(storagetest.Put, "lease/", storagetest.Hang))
		begun := time.Now()
		results := []func() (error, bool){m.detaching(t.Context(), s.ID(), leases[0])}
		synctest.Wait()
		for _, lease := range leases[:3] {
			results = append(results, m.detaching(t.Context(), s.ID(), lease))
		}
		time.Sleep(5 * time.Second)
		for i, result := range results {
			// The first release and its repetition know that their write failed; the others were stored by the next one.
			if err, returned := result(); !returned || isTimeout(err) != (i < 2) {
				t.Errorf("release %d: got %v, returned: %t, after %s", i, err, returned, time.Since(begun))
			}
		}
		for _, lease := range leases[:3] {
			m.detach(s.ID(), lease, ledger.DetachedStored)
		}
		m.restarted().wantLeases(s.ID(), 3+1)
	})
}

// One lost write of a lease stops neither other readers nor the end of the session.
func TestLostWriteOfALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := unleased("a")
		m.share(s)
		var late later
		m.storage.Script(once(storagetest.Put, "lease/", late.Keep))
		lost := started(func() error { _, _, err := m.Attach(t.Context(), s.ID(), anySession); return err })
		_, _ = lost()
		for i, limit := range []time.Duration{500 * time.Millisecond, 0, 0} { // a write that was passed is not waited for again
			begun := time.Now()
			lease := m.attach(s.ID())
			if waited := time.Since(begun); waited != limit {
				t.Errorf("reader %d waited %s for the write of another; want %s", i+1, waited, limit)
			}
			m.detach(s.ID(), lease, ledger.DetachedStored)
		}
		begun := time.Now()
		if !m.end(s.ID(), ledger.End{Regardless: true, Owed: true}) {
			t.Error("an end regardless of leases did not begin")
		}
		if waited := time.Since(begun); waited > 5*time.Second {
			t.Errorf("the end took %s", waited)
		}
		if err, returned := lost(); !returned || !isTimeout(err) {
			t.Errorf("the lost one: got %v, returned: %t", err, returned)
		}
		late.arrive()
		m.wantFoundBySweep(s)
	})
}

// wantFoundBySweep checks that the expiry index leads to what late writes have left of a session, and that nothing is left
// after the sweep.
func (m *mount) wantFoundBySweep(s *ledger.Session) {
	m.t.Helper()
	m.Drop(s.ID())
	if left := m.keys("session/", "lease/"); len(left) == 0 {
		m.t.Error("no late write left anything, so nothing was tested")
	}
	m.sweep(s.ExpiresAt.Add(-time.Second))
	m.sweep(s.ExpiresAt.Add(soon))
	m.wantEmpty()
}

// What late writes of leases and of the session leave after its removal is found when it would have expired.
func TestLateWritesAreSwept(t *testing.T) {
	for name, do := range map[string]func(m *mount, s *ledger.Session, late *later){
		"detach": func(m *mount, s *ledger.Session, late *later) {
			leases := m.attachAtOnce(s.ID(), 2)
			m.storage.Script(once(storagetest.Put, "", late.Keep))
			if _, err := m.Detach(m.t.Context(), s.ID(), leases[0]); !isTimeout(err) {
				m.t.Errorf("got %v", err)
			}
			m.storage.Script()
			m.detach(s.ID(), leases[0], ledger.DetachedStored)
			m.detach(s.ID(), leases[1], ledger.DetachedLast)
		},
		"attach": func(m *mount, s *ledger.Session, _ *later) {
			_, lease, err := m.Attach(m.t.Context(), s.ID(), anySession)
			if !isTimeout(err) {
				m.t.Errorf("got %v", err)
			}
			m.storage.Script()
			m.detach(s.ID(), lease, ledger.DetachedLast)
		},
		"begin end": func(m *mount, s *ledger.Session, _ *later) {
			m.hold(s.ID(), func(h *ledger.Held) {
				if began, err := h.BeginEnd(m.t.Context(), ledger.End{}); began || !isTimeout(err) {
					m.t.Errorf("got %t, %v", began, err)
				}
			})
		},
		"gone": func(m *mount, s *ledger.Session, _ *later) {
			m.hold(s.ID(), func(h *ledger.Held) {
				if err := h.SetGone(m.t.Context()); !isTimeout(err) {
					m.t.Errorf("got %v", err)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t)
				s := unleased("a")
				m.share(s)
				var late later
				m.storage.Script(once(storagetest.Put, "", late.Keep))
				do(m, s, &late)
				m.storage.Script()
				if !m.end(s.ID(), ledger.End{}) {
					t.Error("the end did not begin")
				}
				late.arrive()
				m.wantFoundBySweep(s)
			})
		})
	}
}

// A write of a page that arrives late brings back what was released in between, and never takes a lease away.
func TestLateWriteLosesNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := unleased("a")
		m.share(s)
		leases := m.attachAtOnce(s.ID(), 4)
		var late later
		m.storage.Script(once(storagetest.Put, "lease/", late.Keep))
		if _, err := m.Detach(t.Context(), s.ID(), leases[0]); !isTimeout(err) {
			t.Errorf("got %v", err)
		}
		for _, lease := range leases[:3] {
			m.detach(s.ID(), lease, ledger.DetachedStored)
		}
		late.arrive()
		other := m.restarted()
		other.wantLeases(s.ID(), 3)
		for _, lease := range leases[1:] {
			if other.end(s.ID(), ledger.End{}) {
				t.Fatal("ended under a lease")
			}
			other.detach(s.ID(), lease, map[bool]ledger.Detached{true: ledger.DetachedLast}[lease == leases[3]])
		}
		if !other.end(s.ID(), ledger.End{}) {
			t.Error("not ended without a lease")
		}
	})
}

// One lost read delays its own caller. Nothing of it is left, and the next one reads again.
func TestLostRead(t *testing.T) {
	for _, on := range []storagetest.Op{storagetest.Get, storagetest.List} {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t)
			s := newSession("a")
			m.record(s)
			m.storage.Script(once(on, "", storagetest.Hang))
			begun := time.Now()
			_, err := m.Hold(t.Context(), s.ID())
			if waited := time.Since(begun); !isTimeout(err) || waited != 5*time.Second {
				t.Errorf("got %v after %s", err, waited)
			}
			if n := m.Len(); n != 0 {
				t.Errorf("in memory after a lost read: %d sessions", n)
			}
			m.storage.Script(once(on, "", storagetest.Hang))
			if _, err := m.Detach(t.Context(), s.ID(), s.Lease); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
			if ids := m.Unfinished(); len(ids) != 1 {
				t.Errorf("unfinished: got %v, want the release", ids)
			}
			m.detach(s.ID(), s.Lease, ledger.DetachedLast)
			if !m.end(s.ID(), ledger.End{}) {
				t.Error("not ended")
			}
			m.wantEmpty()
		})
	}
}

// A session that another call holds for too long delays a release for a while, not for ever.
func TestHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		m.attach(s.ID())
		m.hold(s.ID(), func(*ledger.Held) {
			if _, err := m.Detach(t.Context(), s.ID(), s.Lease); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
			if ids := m.Unfinished(); len(ids) != 0 {
				t.Errorf("unfinished while a call holds it: %v", ids)
			}
		})
		m.finish()
		m.wantLeases(s.ID(), 1)
	})
}

// The pages of a session are deleted 16 at a time.
func TestRemovalOfManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := unleased("a")
		m.record(s)
		m.Keep(s.ID())
		m.hold(s.ID(), func(*ledger.Held) {})
		const pages, takes = 2000, 2 * time.Millisecond
		for range pages {
			m.attach(s.ID())
		}
		var under, most atomic.Int32
		m.storage.Script(storagetest.Rule{On: storagetest.Delete, Then: func(
			ctx context.Context, c storagetest.Call, next storagetest.Next,
		) error {
			n := under.Add(1)
			defer under.Add(-1)
			if strings.HasPrefix(c.Key, "lease/") && n > most.Load() {
				most.Store(n)
			}
			time.Sleep(takes)
			return next(ctx)
		}})
		begun := time.Now()
		if !m.end(s.ID(), ledger.End{Regardless: true}) {
			t.Error("not ended")
		}
		if took := time.Since(begun); took > pages/16*takes+10*takes || most.Load() != 16 {
			t.Errorf("removal took %s, with %d deletes at a time; want 16", took, most.Load())
		}
		m.Drop(s.ID())
		m.wantEmpty()
	})
}

// A write that failed may have been carried out. So recording the session again writes it, even if it is as memory has it.
func TestRecordedIsActiveInStorageAfterAFailedWrite(t *testing.T) {
	late := storagetest.FailLate(storagetest.ErrBroken)
	for name, do := range map[string]func(h *ledger.Held) error{
		"end":  func(h *ledger.Held) error { _, err := h.BeginEnd(t.Context(), ledger.End{}); return err },
		"owed": func(h *ledger.Held) error { _, err := h.BeginEnd(t.Context(), ledger.End{Owed: true}); return err },
		"gone": func(h *ledger.Held) error { return h.SetGone(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			s := unleased("a")
			m.share(s)
			m.hold(s.ID(), func(h *ledger.Held) {
				m.storage.Script(once(storagetest.Put, "session/", late))
				if err := do(h); err == nil {
					t.Error("a failed write is no error")
				}
				m.ok(h.Record(t.Context(), h.Session()))
			})
			m.attach(s.ID())
			if got, err := m.Get(t.Context(), s.ID()); err != nil || got.State != ledger.StateActive {
				t.Errorf("issued in state %s, %v", got.State, err)
			}
		})
	}
}

// A logout is written down before it is sent, also if storage has more of an earlier write than its caller knew.
func TestEndIsInStorageAfterAFailedWrite(t *testing.T) {
	m := newMount(t)
	s := unleased("a")
	m.share(s)
	m.hold(s.ID(), func(h *ledger.Held) {
		if began, err := h.BeginEnd(t.Context(), ledger.End{}); !began || err != nil {
			t.Fatal(began, err)
		}
		m.storage.Script(once(storagetest.Put, "session/", storagetest.FailLate(storagetest.ErrBroken)))
		if err := h.Record(t.Context(), s); err == nil {
			t.Error("a failed write is no error")
		}
		if began, err := h.BeginEnd(t.Context(), ledger.End{}); !began || err != nil {
			t.Fatal(began, err)
		}
	})
	if got, err := m.Get(t.Context(), s.ID()); err != nil || got.State != ledger.StateEnding {
		t.Errorf("logged out in state %s, %v", got.State, err)
	}
}

// A write of an end arrives late, after the session was recorded again. It ends nothing under a lease: not in this process,
// and not in a new one.
func TestLateEndOfARecordedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		var late later
		m.hold(s.ID(), func(h *ledger.Held) {
			m.storage.Script(once(storagetest.Put, "session/", late.Keep))
			if _, err := h.BeginEnd(t.Context(), ledger.End{Regardless: true, Owed: true}); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
			m.ok(h.Record(t.Context(), s))
		})
		m.attach(s.ID())
		late.arrive()
		if got := must(m.Get(t.Context(), s.ID())); got.State != ledger.StateEnding {
			t.Error("nothing arrived late, so nothing was tested")
		}
		if m.end(s.ID(), ledger.End{}) || m.restarted().end(s.ID(), ledger.End{}) {
			t.Error("ended under its leases")
		}
	})
}

// A late write brings an expiry back that was replaced by an earlier one. The index leads to it still.
func TestLateWriteOfAnotherExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		var late later
		m.hold(s.ID(), func(h *ledger.Held) {
			m.storage.Script(once(storagetest.Put, "session/", late.Keep))
			if err := h.SetGone(t.Context()); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
			m.ok(h.Record(t.Context(), changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(-30 * time.Minute) })))
		})
		late.arrive()
		wantIndexed(t, m.storage)
	})
}

// A session that could not be recorded, and whose end is still being written, is returned again: the late end takes
// neither its lease nor its life.
func TestLateEndOfASessionThatWasNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t)
		s := newSession("a")
		gate := storagetest.NewGate()
		m.hold(s.ID(), func(h *ledger.Held) {
			m.storage.Script(storagetest.Rule{
				On: storagetest.Put, Prefix: "session/", Then: storagetest.Fail(storagetest.ErrBroken),
			})
			if err := h.Record(t.Context(), s); err == nil {
				t.Fatal("the session was recorded")
			}
			if began, err := h.BeginEnd(t.Context(), ledger.End{Owed: true}); !began || err != nil {
				t.Fatalf("end: got %t, %v", began, err)
			}
			m.storage.Script(storagetest.Rule{
				On: storagetest.Put, Prefix: "session/",
				Then: func(_ context.Context, c storagetest.Call, next storagetest.Next) error {
					return gate.Hold(t.Context(), c, next)
				},
			})
			if err := h.SetPending(t.Context(), start, true); err == nil {
				t.Fatal("a write that hangs succeeded")
			}
		})
		m.storage.Script()
		m.Keep(s.ID())
		m.record(newSession("a"))
		if now, _ := m.Peek(s.ID()); now.Lease.IsZero() {
			m.attach(s.ID())
		}
		gate.Open()
		synctest.Wait()
		m.restarted().hold(s.ID(), func(h *ledger.Held) {
			if began, err := h.BeginEnd(t.Context(), ledger.End{}); began || err != nil {
				t.Errorf("end under a lease: got %t, %v, want nothing begun", began, err)
			}
		})
	})
}

// An index entry whose deletion may be carried out late is written again with the next end.
func TestPendingIsMarkedAgain(t *testing.T) {
	m := newMount(t)
	s := unleased("a")
	m.record(s)
	m.hold(s.ID(), func(h *ledger.Held) {
		_, err := h.BeginEnd(t.Context(), ledger.End{Owed: true})
		m.ok(err)
		m.ok(h.SetPending(t.Context(), start, true))
		m.storage.Script(storagetest.Rule{
			On: storagetest.Delete, Prefix: "pending/", Then: storagetest.FailLate(storagetest.ErrBroken),
		})
		_ = h.Record(t.Context(), s)
		m.storage.Script()
		_, err = h.BeginEnd(t.Context(), ledger.End{Owed: true})
		m.ok(err)
		m.ok(h.SetPending(t.Context(), start, true))
	})
	if m.storage.Value(t, "pending/"+s.ID()) == "" {
		t.Error("nothing leads to the pending logout")
	}
}
