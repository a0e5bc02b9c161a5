package session_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// Workfront takes a JWT until it expires by Workfront's clock, so the clocks' difference tells the JWT's lifetime.
func TestLifetimeOfTheJWT(t *testing.T) {
	for _, ttl := range []time.Duration{30 * time.Second, 3 * time.Minute, 10 * time.Minute} {
		for _, tt := range []struct {
			behind  time.Duration
			refused bool
		}{{ttl - time.Second, false}, {ttl, true}} {
			f := newFixture(t)
			f.options.Now = func() time.Time { return f.clock.Now().Add(-tt.behind) }
			f.broker = f.newBroker()
			f.source.JWTTTL = ttl
			_, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if refused := isA[*workfront.RefusedError](err); refused != tt.refused || !refused && err != nil {
				t.Errorf("jwt_ttl %s, used after %s: got %v, want it refused: %t", ttl, tt.behind, err, tt.refused)
			}
		}
	}
}

// The logout was carried out, and storage failed afterwards. Another revocation has read the session since.
func TestSessionWhoseEndWasBegunIsNotIssued(t *testing.T) {
	f := newSharedFixture(t)
	lease, revoked := f.issue(), f.issue()
	f.release(revoked)
	f.storage.Script(writesFail(1)) // the proof
	if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); !errors.Is(err, storagetest.ErrBroken) {
		t.Fatalf("got %v, want the storage error", err)
	}
	f.wantAlive(lease, false)
	f.storage.Script()
	f.release(revoked) // Vault repeats it
	f.wantAlive(f.issue(), true)
	f.release(lease)
	f.wantState(lease, "")
}

// Another node has changed the session, and of all that it wrote, only that has been told yet.
func TestStaleSessionIsNotIssued(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.issue()
	if _, err := f.newBroker().Terminate(t.Context(), f.storage, first.SessionID); err != nil {
		t.Fatal(err)
	}
	f.broker.Invalidate("session/" + first.SessionID)
	f.wantAlive(f.issue(), true)
}

// A revocation that Vault cuts off says nothing of Workfront. Vault repeats it, so its logout does not become pending.
func TestLogoutThatIsCutOffIsNotPending(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	ctx, cancel := context.WithCancel(t.Context())
	f.logoutsFail()
	f.server.OnEvent(func(workfronttest.Event) { cancel() })
	detached := storagetest.Over(f.storage, storagetest.Rule{On: storagetest.Writes, Then: storagetest.Detach})
	if err := f.broker.Release(ctx, detached, lease.LeaseRef); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	f.wantState(lease, ledger.StateEnding)
	if owed := f.storage.Value(t, "pending/"+lease.SessionID); owed != "" {
		t.Errorf("index of pending logouts: got %q, want nothing", owed)
	}
	f.server.OnEvent(nil)
	f.server.ClearFaults()
	f.release(lease)
	f.wantNothingLeft()
}

// Vault holds a lock during a revocation. A Workfront that does not answer must not hold it up.
func TestLogoutHasATimeLimit(t *testing.T) {
	t.Parallel() // it takes 5 s
	f := newFixture(t)
	lease := f.issue()
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := f.broker.Release(ctx, f.storage, lease.LeaseRef); err != nil {
		t.Errorf("got %v, want the logout to be pending after 5 s", err)
	}
	f.wantState(lease, ledger.StateEnding)
}

// A leader is replaced in the midst of maintenance.
func TestMaintenanceThatIsOvertakenLogsNothingOut(t *testing.T) {
	f := newFixture(t)
	lease := f.leavePending()
	tried := f.server.Stats().Logouts
	f.clock.Advance(time.Minute)
	frozen := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Get, Prefix: "session/",
		Then: storagetest.First(func() {
			f.clock.Advance(time.Minute)
			f.storage.Script(storagetest.ReadOnly)
		}),
	})
	if err := f.broker.Maintain(t.Context(), frozen); err == nil {
		t.Error("maintenance could not write, but got no error")
	}
	if got := f.server.Stats().Logouts; got != tried {
		t.Errorf("logouts by a node that cannot write: got %d, want none", got-tried)
	}
	f.recover()
	f.wantAlive(lease, false)
	f.wantNothingLeft()
}

func TestTrialLeavesAloneWhatIsInUse(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	lease := f.issue()
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	if inUse, err := trial.End(t.Context(), f.storage); !inUse || err != nil {
		t.Errorf("got in use %t, %v; want true", inUse, err)
	}
	f.wantAlive(lease, true)
}

// What is shared is decided by the key as well as by the other settings.
func TestSharedSessionIsReplacedWithEachOfItsSettings(t *testing.T) {
	for name, change := range map[string]func(*session.Source){
		"key": func(s *session.Source) { s.KeyFingerprint = "another" },
		"host": func(s *session.Source) {
			s.Endpoint.BaseURL = strings.Replace(s.Endpoint.BaseURL, "127.0.0.1", "localhost", 1)
		},
		"client":   func(s *session.Source) { s.ClientID = "another" },
		"customer": func(s *session.Source) { s.CustomerID = "another" },
		"user":     func(s *session.Source) { s.UserID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newSharedFixture(t)
			first := f.issue()
			change(&f.source)
			// Workfront may refuse what was made up.
			if second, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil && second.SessionID == first.SessionID {
				t.Error("a session was issued that was started from other settings")
			}
		})
	}
}

// A role is written while a reader waits, and shared again at once. Only the later refresh says what is shared then.
func TestRefreshOfAShareThatWasEnded(t *testing.T) {
	f := newSharedFixture(t)
	var exchanges atomic.Int64
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			exchanges.Add(1)
		}
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	early := make(chan *session.Lease, 1)
	go func() {
		lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
		if err != nil {
			t.Errorf("issue: %v", err)
		}
		early <- lease
	}()
	await.That(t, "the first exchange is under way", func() bool { return exchanges.Load() == 1 })
	if err := f.broker.Unshare(t.Context(), f.storage, f.source.Role); err != nil {
		t.Fatal(err)
	}
	later := f.issue()
	resume()
	first := <-early
	if first == nil {
		t.FailNow()
	}
	if first.SessionID != later.SessionID {
		t.Error("the readers of one role got different sessions")
	}
	f.broker.AwaitBackground()
	f.release(first)
	f.wantAlive(later, true)
	f.release(later)
	f.settle()
	f.wantNothingLeft()
}
