package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// wantNothingLeft checks that no session is alive, and none is in the ledger that nobody leases.
func (f *fixture) wantNothingLeft() {
	f.t.Helper()
	if alive := f.server.Stats().Alive; alive != 0 {
		f.t.Errorf("sessions alive at workfront: got %d, want none", alive)
	}
	ids, err := f.broker.IDs(f.t.Context(), f.storage)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(ids) != 0 {
		f.t.Errorf("sessions in the ledger: got %v, want none", ids)
	}
}

func (f *fixture) logoutsFail() {
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
}

// recover has storage and Workfront work again, and the periodic job run.
func (f *fixture) recover() {
	f.t.Helper()
	f.storage.Script()
	f.server.ClearFaults()
	f.clock.Advance(time.Minute)
	f.maintain()
}

func TestOwedLogoutOutlivesMaintenanceThatFails(t *testing.T) {
	f := newFixture(t)
	f.logoutsFail()
	f.storage.Script(writesFail(0))
	if _, err := f.broker.Issue(t.Context(), f.storage, f.source); !errors.Is(err, storagetest.ErrBroken) {
		t.Fatalf("got %v, want the storage error", err)
	}
	f.storage.Script()
	puts := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Skip: 1, Then: storagetest.Fail(storagetest.ErrBroken),
	})
	if err := f.broker.Maintain(t.Context(), puts); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	f.recover()
	f.wantNothingLeft()
	if got := f.broker.InMemory(); got != 0 {
		t.Errorf("entries in memory: got %d, want none", got)
	}
}

func TestOwedLogoutThatIsPendingEndsLikeOthers(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	f.logoutsFail()
	f.storage.Script(writesFail(0))
	_, _ = f.broker.Issue(t.Context(), f.storage, f.source)
	f.storage.Script()
	f.maintain() // its logout is pending then
	f.server.ClearFaults()
	again := f.issue() // Workfront returns it again
	f.wantState(again, ledger.StateActive)
	f.clock.Advance(3 * time.Hour)
	f.expire()
	f.maintain() // a write had failed, so the index of its expiry was left
	f.wantEmptyLedger()
}

// Nobody has the lease that storage took and reported as failed; the shared session must not live on for it.
func TestUndeliveredLeaseIsReleasedLater(t *testing.T) {
	f := newSharedFixture(t)
	lease := f.issue()
	broken := storagetest.Over(f.storage,
		storagetest.Rule{On: storagetest.Delete, Then: storagetest.Fail(storagetest.ErrBroken)},
		storagetest.Rule{On: storagetest.Get | storagetest.Put, Then: storagetest.FailLate(storagetest.ErrBroken)},
	)
	if _, err := f.broker.Issue(t.Context(), broken, f.source); !errors.Is(err, storagetest.ErrBroken) {
		t.Fatalf("got %v, want the storage error", err)
	}
	f.maintain()
	f.release(lease)
	f.wantNothingLeft()
}

func TestTrialOfASessionWithPendingLogout(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	f.leavePending()
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	if inUse, err := trial.End(t.Context(), f.storage); inUse || err != nil {
		t.Errorf("got in use %t, %v; want false: nobody leases a session with a pending logout", inUse, err)
	}
	f.wantNothingLeft()
}

func TestUnloadingWaitsForATrial(t *testing.T) {
	f := newFixture(t)
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		f.broker.Close(t.Context(), f.storage, false)
		close(closed)
	}()
	await.That(t, "unloading has begun", func() bool {
		_, err := f.broker.Try(t.Context(), f.source)
		return err != nil
	})
	select {
	case <-closed:
		t.Error("unloaded while a session was being tried")
	default:
	}
	if _, err := trial.End(t.Context(), f.storage); err != nil {
		t.Error(err)
	}
	<-closed
}

func TestOneDamagedRecordDoesNotStarveTheOthers(t *testing.T) {
	f := newFixture(t)
	log := f.logged()
	lease := f.leavePending()
	f.storage.Set(t, "session/damaged", "no json")
	f.storage.Set(t, "pending/damaged", "{}")
	f.clock.Advance(time.Minute)
	f.maintain()
	if line := lineWith(log, "damaged"); !strings.Contains(line, "[ERROR]") || !strings.Contains(line, "sessions=1") {
		t.Errorf("the log says %q of the damage", line)
	}
	f.wantAlive(lease, false)
}

func TestTerminate(t *testing.T) {
	t.Run("tries even where a logout has just failed", func(t *testing.T) {
		f := newFixture(t)
		lease := f.issue()
		f.leaveUnavailable()
		if _, err := f.broker.Terminate(t.Context(), f.storage, lease.SessionID); err != nil {
			t.Error(err)
		}
		f.wantAlive(lease, false)
	})
	for _, tt := range []struct {
		name, expiresIn string
		fault           workfronttest.Fault
		want            ledger.State
	}{
		{"past a stated expiry, refused", "1800", workfronttest.Fault{Status: 403, Body: refusedLogout}, ""},
		{"past a stated expiry, broken", "1800", workfronttest.Fault{Status: 500}, ledger.StateEnding},
		{
			"past an assumed expiry, refused", workfronttest.OmitExpiresIn,
			workfronttest.Fault{Status: 403, Body: refusedLogout},
			ledger.StateEnding,
		},
		{
			"past an assumed expiry, too many calls", workfronttest.OmitExpiresIn,
			workfronttest.Fault{Status: 429},
			ledger.StateEnding,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixtureWithTTL(t, 4*time.Hour)
			f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(tt.expiresIn) })
			lease := f.issue()
			f.clock.Advance(31 * time.Minute)
			tt.fault.Endpoint = workfronttest.EndpointLogout
			f.server.Inject(tt.fault)
			_, err := f.broker.Terminate(t.Context(), f.storage, lease.SessionID)
			f.wantState(lease, tt.want)
			if pending := tt.want != ""; pending != (err != nil) {
				t.Errorf("got %v, want an error if the logout is pending", err)
			}
			if tt.want != "" {
				f.recover()
				f.wantNothingLeft()
			}
		})
	}
}

// A lease that is revoked while the logout is pending is none that Workfront's session could come back to.
func TestRevocationWhileTheLogoutIsPending(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f := newFixture(t)
		f.source.Shared = shared
		leases := []*session.Lease{f.issue()}
		if shared {
			leases = append(leases, f.issue(), f.issue())
		}
		f.logoutsFail()
		if _, err := f.broker.Terminate(t.Context(), f.storage, leases[0].SessionID); err == nil {
			t.Fatal("the logout succeeded, want it pending")
		}
		for i, l := range leases {
			f.wantLeases(l, len(leases)-i)
			f.release(l)
		}
		f.wantLeases(leases[0], 0)
		f.recover()
		f.wantNothingLeft()
	}
}

// A write that failed once does not hide a pending logout from the run that counts it and tells of its end.
func TestPendingLogoutAfterAFailedWriteIsRetriedOnce(t *testing.T) {
	f := newFixture(t)
	var events []session.EventKind
	f.options.Notify = func(_ context.Context, e session.Event) { events = append(events, e.Kind) }
	f.broker = f.newBroker()
	lease := f.issue()
	f.clock.Advance(time.Minute)
	f.storage.Script(storagetest.Rule{
		On: storagetest.Put, Prefix: "session/", Times: 1, Then: storagetest.Fail(storagetest.ErrBroken),
	})
	if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	f.storage.Script()
	f.logoutsFail()
	f.release(lease)
	before := f.server.Stats().Logouts
	f.clock.Advance(time.Minute)
	f.maintain()
	if got := f.server.Stats().Logouts - before; got != 1 {
		t.Errorf("logouts in one run: got %d, want 1", got)
	}
	f.recover()
	f.wantAlive(lease, false)
	if want := []session.EventKind{session.EventLogoutPending, session.EventLogoutFinished}; !slices.Equal(events, want) {
		t.Errorf("events: got %v, want %v", events, want)
	}
}
