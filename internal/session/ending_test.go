package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// Storage fails when a replaced session is to be read. Only the index of its expiry leads to it then, so memory has to keep it.
func TestReplacedSessionIsEndedOnceStorageAnswers(t *testing.T) {
	f := newSharedFixture(t)
	leased := f.unleasedReplacement()
	ids, err := f.broker.IDs(t.Context(), f.storage)
	if err != nil {
		t.Fatal(err)
	}
	f.source.KeyFingerprint = "changed"
	var unreadable []storagetest.Rule
	for _, id := range ids {
		unreadable = append(unreadable, storagetest.Rule{
			On: storagetest.Get, Prefix: "session/" + id, Then: storagetest.Fail(storagetest.ErrBroken),
		})
	}
	broken := storagetest.Over(f.storage, unreadable...)
	if _, err := f.broker.Issue(t.Context(), broken, f.source); err != nil {
		t.Fatal(err)
	}
	f.broker.AwaitBackground()
	if alive := f.server.Stats().Alive; alive != 3 {
		t.Fatalf("sessions alive: got %d, want the leased ones and the one that could not be read", alive)
	}
	f.maintain()
	if alive := f.server.Stats().Alive; alive != 2 {
		t.Errorf("sessions alive: got %d, want those that are leased", alive)
	}
	f.wantAlive(leased, true)
}

// Storage takes a session and reports a failure, and fails to remove it after its logout.
func TestSessionThatStorageTookAllTheSame(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f := newFixture(t)
		f.source.Shared = shared
		broken := storagetest.Over(f.storage,
			storagetest.Rule{On: storagetest.Delete, Then: storagetest.Fail(storagetest.ErrBroken)},
			storagetest.Rule{On: storagetest.Put, Prefix: "session/", Then: storagetest.FailLate(storagetest.ErrBroken)},
		)
		if _, err := f.broker.Issue(t.Context(), broken, f.source); !errors.Is(err, storagetest.ErrBroken) {
			t.Errorf("shared %t: got %v, want the storage error", shared, err)
		}
		f.maintain()
		f.wantNothingLeft()
		if shared {
			continue // its share stays in memory as long as its role
		}
		if n := f.broker.InMemory(); n != 0 {
			t.Errorf("entries in memory: got %d, want none", n)
		}
	}
}

// A revocation succeeds during a termination only if that is certain: else the session lives on, and nobody will revoke the
// lease again.
func TestRevocationDuringATerminationThatFails(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	released := make(chan error, 1)
	broken := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Prefix: "session/", Times: 1,
		Then: func(context.Context, storagetest.Call, storagetest.Next) error {
			go func() { released <- f.broker.Release(t.Context(), f.storage, lease.LeaseRef) }()
			await.That(t, "the revocation waits, or is done", func() bool {
				return f.broker.References(lease.SessionID) == 2 || len(released) > 0
			})
			return storagetest.ErrBroken
		},
	})
	if _, err := f.broker.Terminate(t.Context(), broken, lease.SessionID); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	f.wantNothingLeft()
}

// A session that is being ended is not issued, and no reader waits for its end.
func TestReadersDoNotWaitForTheEndOfASession(t *testing.T) {
	hang := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling}
	tests := []struct {
		name string
		// begin has the session be ended, and returns once that hangs.
		begin func(f *fixture, leases []*session.Lease) (resume func())
	}{
		{"its leases are removed, because it has expired", func(f *fixture, _ []*session.Lease) func() {
			f.clock.Advance(time.Hour)
			f.maintain() // ends nothing yet
			gate := storagetest.NewGate()
			slow := storagetest.Over(f.storage, storagetest.Rule{
				On: storagetest.Delete, Prefix: "lease/", Times: 1, Then: gate.Hold,
			})
			go func() { _ = f.broker.Maintain(context.WithoutCancel(f.t.Context()), slow) }()
			<-gate.Reached
			return gate.Open
		}},
		{"its pending logout is retried", func(f *fixture, leases []*session.Lease) func() {
			f.logoutsFail()
			for _, l := range leases {
				f.release(l)
			}
			f.wantState(leases[0], ledger.StateEnding)
			f.server.ClearFaults()
			f.clock.Advance(time.Minute)
			tried := f.server.Stats().Logouts
			resume := f.server.Inject(hang)
			go func() { _ = f.broker.Maintain(context.WithoutCancel(f.t.Context()), f.storage) }()
			await.That(f.t, "the logout hangs", func() bool { return f.server.Stats().Logouts > tried })
			return resume
		}},
		{"it is terminated", func(f *fixture, leases []*session.Lease) func() {
			resume := f.server.Inject(hang)
			go func() { _, _ = f.broker.Terminate(f.t.Context(), f.storage, leases[0].SessionID) }()
			await.That(f.t, "the logout hangs", func() bool { return f.server.Stats().Logouts > 0 })
			return resume
		}},
		{"its last lease is revoked", func(f *fixture, leases []*session.Lease) func() {
			for _, l := range leases[1:] {
				f.release(l)
			}
			resume := f.server.Inject(hang)
			go func() { _ = f.broker.Release(context.WithoutCancel(f.t.Context()), f.storage, leases[0].LeaseRef) }()
			await.That(f.t, "the logout hangs", func() bool { return f.server.Stats().Logouts > 0 })
			return resume
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newSharedFixture(t)
			leases := []*session.Lease{f.issue(), f.issue(), f.issue()}
			resume := tt.begin(f, leases)
			f.source.RequestTimeout = 3 * time.Second // less than the logout may take
			next := f.issue()
			if next.SessionID == leases[0].SessionID {
				t.Error("a session was issued that is being ended")
			}
			resume()
			f.broker.AwaitBackground()
			f.wantAlive(next, true)
		})
	}
}

// Storage does not answer, so nothing is sent. A reader waits for its time all the same, and no longer.
func TestReaderWaitsForRequestTimeoutAtMost(t *testing.T) {
	f := newSharedFixture(t)
	gate := storagetest.NewGate()
	stuck := storagetest.Over(f.storage, storagetest.Rule{On: storagetest.Get, Prefix: "shared/", Then: gate.Hold})
	first := make(chan error)
	go func() {
		lease, err := f.broker.Issue(t.Context(), stuck, f.source)
		if err == nil {
			err = f.broker.Release(t.Context(), f.storage, lease.LeaseRef)
		}
		first <- err
	}()
	<-gate.Reached
	hasty := f.source
	hasty.RequestTimeout = 10 * time.Millisecond
	if _, err := f.broker.Issue(t.Context(), f.storage, hasty); !isA[*workfront.BusyError](err) {
		t.Errorf("got %v, want a BusyError", err)
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := f.broker.Issue(ctx, f.storage, f.source)
		left <- err
	}()
	await.That(t, "another reader waits", func() bool { return f.broker.Waiting("roles/r") == 2 })
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	gate.Open()
	if err := <-first; err != nil {
		t.Error(err)
	}
	f.settle()
	f.wantNothingLeft()
}

// Workfront returns a session once more, and that is logged out outside Vault before the answer arrives.
func TestSessionThatDiesOutsideVaultDuringAnExchange(t *testing.T) {
	f := newSharedFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	first := f.issue()
	own := f.source
	own.Shared = false
	resume := f.server.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer, Times: 1,
	})
	leases := make(chan *session.Lease, 1)
	go func() {
		lease, err := f.broker.Issue(t.Context(), f.storage, own)
		if err != nil {
			t.Errorf("issue: %v", err)
		}
		leases <- lease
	}()
	await.That(t, "the session is returned again", func() bool { return f.server.Stats().Reissued == 1 })
	f.server.EndSession(first.Token)
	f.clock.Advance(time.Minute)
	await.That(t, "the session is replaced", func() bool { return f.issue().SessionID != first.SessionID })
	await.That(t, "the dead session is removed", func() bool { return f.broker.References(first.SessionID) == 0 })
	resume()
	if lease := <-leases; lease != nil {
		f.wantAlive(lease, true)
	}
}

// A role is deleted while a read of it is at the end of its work.
func TestReadThatOutlivesItsRoleLeavesNothingInMemory(t *testing.T) {
	f := newSharedFixture(t)
	lease := f.issue()
	unshared := make(chan error, 1)
	slow := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Prefix: "lease/",
		Then: storagetest.First(func() {
			go func() { unshared <- f.broker.Unshare(f.t.Context(), f.storage, f.source.Role) }()
			await.That(t, "the share is forgotten", func() bool { return f.broker.InMemory() == 1 })
		}),
	})
	second, err := f.broker.Issue(t.Context(), slow, f.source)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-unshared; err != nil {
		t.Error(err)
	}
	f.release(lease)
	f.release(second)
	f.broker.AwaitBackground()
	if n := f.broker.InMemory(); n != 0 {
		t.Errorf("entries in memory: got %d, want none", n)
	}
}
