package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// inAnOutage returns a fixture whose readers share a session with a quarter of its lifetime left, while its replacement hangs
// at Workfront until the end of the test, and the leases on that session.
func inAnOutage(t *testing.T, readers int) (f *fixture, leases []*session.Lease) {
	t.Helper()
	f = newSharedFixture(t)
	f.source.RequestTimeout = 2 * time.Second
	for range readers - 1 {
		leases = append(leases, f.issue())
	}
	f.clock.Advance(25 * time.Minute)
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer})
	t.Cleanup(func() {
		resume()
		f.broker.AwaitBackground()
	})
	leases = append(leases, f.issue())
	await.That(t, "the replacement hangs", func() bool { return f.server.Stats().Exchanges == 2 })
	return f, leases
}

// cutOff revokes a lease in a way that leaves unknown what storage did.
func (f *fixture) cutOff(l *session.Lease) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	f.storage.Script(storagetest.Rule{
		On: storagetest.Writes, Prefix: "lease/",
		Then: func(ctx context.Context, _ storagetest.Call, _ storagetest.Next) error {
			cancel()
			return context.Canceled
		},
	})
	defer f.storage.Script()
	if err := f.broker.Release(ctx, f.storage, l.LeaseRef); !errors.Is(err, context.Canceled) {
		f.t.Fatalf("got %v, want a revocation that was cut off", err)
	}
}

// A revocation that was cut off, or that is being repeated, does not make the readers of a warm role wait for Workfront.
func TestWarmReadersDoNotWaitForWorkfront(t *testing.T) {
	wantFirst := func(t *testing.T, f *fixture, leases []*session.Lease) {
		t.Helper()
		for range 3 {
			if l := f.issue(); l.SessionID != leases[0].SessionID {
				t.Error("a reader did not get the session that lives")
			}
		}
		f.wantAlive(leases[0], true)
	}
	t.Run("cut off", func(t *testing.T) {
		f, leases := inAnOutage(t, 4)
		f.cutOff(leases[1])
		wantFirst(t, f, leases)
	})
	t.Run("being repeated", func(t *testing.T) {
		f, leases := inAnOutage(t, 4)
		f.cutOff(leases[1])
		f.broker.Invalidate("session/" + leases[0].SessionID) // else the session need not be read
		reading, resume := make(chan struct{}), make(chan struct{})
		f.storage.Script(storagetest.Rule{
			On: storagetest.Get, Prefix: "session/", Times: 1,
			Then: storagetest.First(func() { close(reading); <-resume }),
		})
		released, issued := make(chan error), make(chan *session.Lease)
		go func() { released <- f.broker.Release(t.Context(), f.storage, leases[1].LeaseRef) }()
		<-reading
		id := leases[0].SessionID
		waiting := f.broker.References(id)
		go func() {
			lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if err != nil {
				t.Errorf("issue: %v", err)
			}
			issued <- lease
		}()
		await.That(t, "the reader waits for storage", func() bool { return f.broker.References(id) > waiting })
		close(resume)
		if l := <-issued; l != nil && l.SessionID != id {
			t.Error("the reader did not get the session that lives")
		}
		if err := <-released; err != nil {
			t.Error(err)
		}
		wantFirst(t, f, leases)
	})
	t.Run("many readers at once", func(t *testing.T) {
		f, leases := inAnOutage(t, 4)
		f.cutOff(leases[1])
		const readers = 50
		issued := make(chan *session.Lease, readers)
		for range readers {
			go func() {
				lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
				if err != nil {
					t.Errorf("issue: %v", err)
				}
				issued <- lease
			}()
		}
		for range readers {
			if l := <-issued; l != nil && l.SessionID != leases[0].SessionID {
				t.Error("a reader did not get the session that lives")
			}
		}
	})
}

// A reader who waits for storage does not wait for a logout that begins in between.
func TestReaderDoesNotWaitForALogoutThatBegins(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.broker.Invalidate("session/" + first.SessionID)

	reading, read := make(chan struct{}), make(chan struct{})
	f.storage.Script(storagetest.Rule{
		On: storagetest.List, Prefix: "lease/", Times: 1,
		Then: storagetest.First(func() { close(reading); <-read }),
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	released, issued := make(chan error), make(chan *session.Lease)
	go func() {
		_, err := f.broker.Terminate(t.Context(), f.storage, first.SessionID)
		released <- err
	}()
	<-reading
	waiting := f.broker.References(first.SessionID)
	go func() {
		lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
		if err != nil {
			t.Errorf("issue: %v", err)
		}
		issued <- lease
	}()
	await.That(t, "the reader waits for storage", func() bool { return f.broker.References(first.SessionID) > waiting })
	close(read)
	select {
	case l := <-issued:
		if l != nil && l.SessionID == first.SessionID {
			t.Error("a session that is being logged out was issued")
		}
	case err := <-released:
		t.Fatalf("the logout hung, and ended with %v before the reader got a session", err)
	}
	resume()
	if err := <-released; err != nil {
		t.Error(err)
	}
}
