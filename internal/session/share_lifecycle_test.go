package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// checkHangs has a reader begin a check that hangs until resume is called.
func (f *fixture) checkHangs() (lease *session.Lease, resume func()) {
	f.t.Helper()
	f.clock.Advance(time.Minute)
	resume = f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Hang: workfronttest.HangBeforeHandling})
	lease = f.issue()
	await.That(f.t, "the check is under way", func() bool { return f.server.Stats().APICalls == 1 })
	return lease, resume
}

// A check that finds the session dead must start another one only if somebody else ended it, and it is still current.
func TestCheckOfASessionThatIsNoLongerWanted(t *testing.T) {
	tests := []struct {
		name      string
		meanwhile func(f *fixture)
		alive     int
	}{
		{"its last lease is released", func(*fixture) {}, 0},
		{"its role is deleted", func(f *fixture) {
			if err := f.broker.Unshare(f.t.Context(), f.storage, f.source.Role); err != nil {
				f.t.Fatal(err)
			}
		}, 0},
		{"it is replaced", func(f *fixture) {
			f.source.KeyFingerprint = "changed"
			f.issue()
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newSharedFixture(t)
			first := f.issue()
			second, resume := f.checkHangs()
			tt.meanwhile(f)
			f.release(first)
			f.release(second)
			exchanges := f.server.Stats().Exchanges
			resume()
			f.broker.AwaitBackground()
			f.settle()
			f.wantExchanges(exchanges)
			if got := f.server.Stats().Alive; got != tt.alive {
				t.Errorf("sessions alive: got %d, want %d", got, tt.alive)
			}
		})
	}
}

func TestRefreshThatBringsTheSameSessionIsNotRepeatedAtEveryRead(t *testing.T) {
	f := newSharedFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	f.issue()
	f.clock.Advance(25 * time.Minute)
	for range 10 {
		f.issue()
		f.settleOnce()
	}
	f.wantExchanges(2)
}

func TestSlowStorageDoesNotIssueTheLastMoment(t *testing.T) {
	f := newSharedFixture(t)
	f.issue()
	f.clock.Advance(30*time.Minute - 3*time.Second)
	f.server.Suspend()
	slow := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Prefix: "lease/",
		Then: storagetest.First(func() { f.clock.Advance(1500 * time.Millisecond) }),
	})
	if lease, err := f.broker.Issue(t.Context(), slow, f.source); err == nil {
		t.Errorf("issued with %s left, want an error", lease.ExpiresAt.Sub(f.clock.Now()))
	}
}

func TestRetireDuringARefresh(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer})
	second := f.issue()
	await.That(t, "the refresh is under way", func() bool { return f.server.Stats().Exchanges == 2 })
	if err := f.broker.Unshare(t.Context(), f.storage, f.source.Role); err != nil {
		t.Fatal(err)
	}
	f.release(first)
	f.release(second)
	resume()
	f.settle()
	f.wantNothingLeft()
}

// A reader of new settings must not get the failure of the old ones.
func TestFailureOfASourceThatWasChanged(t *testing.T) {
	f := newSharedFixture(t)
	good := f.source
	f.source.ClientSecret = "wrong"
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling, Times: 1})
	var readers sync.WaitGroup
	readers.Go(func() {
		if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
			t.Error("a wrong client secret was accepted")
		}
	})
	await.That(t, "the first reader waits", func() bool { return f.server.Stats().Exchanges == 1 })
	readers.Go(func() {
		if _, err := f.broker.Issue(t.Context(), f.storage, good); err != nil {
			t.Errorf("a reader of the new settings: %v", err)
		}
	})
	await.That(t, "both readers wait", func() bool { return f.broker.Waiting("roles/r") == 2 })
	resume()
	readers.Wait()
}

func TestFaultsOfStorageDoNotMultiplyChecks(t *testing.T) {
	f := newSharedFixture(t)
	f.issue()
	f.issue()
	for range 5 {
		f.storage.Script(writesFail(0))
		_, _ = f.broker.Issue(t.Context(), f.storage, f.source)
		f.storage.Script()
		f.issue()
	}
	f.settle()
	if got := f.server.Stats().APICalls; got > 1 {
		t.Errorf("checks within one instant: got %d, want at most 1", got)
	}
}

func TestDeletedRolesLeaveNothingInMemory(t *testing.T) {
	f := newSharedFixture(t)
	f.source.ClientSecret = "wrong"
	for _, role := range []string{"a", "b", "c"} {
		f.source.Role = role
		_, _ = f.broker.Issue(t.Context(), f.storage, f.source)
		if err := f.broker.Unshare(t.Context(), f.storage, role); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.broker.InMemory(); got != 0 {
		t.Errorf("entries in memory: got %d, want none", got)
	}
}

func TestRepeatedReleaseDoesNotHoldReadersUp(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	f.issue()
	gate := storagetest.NewGate()
	slow := storagetest.Over(f.storage, storagetest.Rule{On: storagetest.Delete, Then: gate.Hold})
	released := make(chan error, 2)
	go func() { released <- f.broker.Release(t.Context(), slow, first.LeaseRef) }()
	<-gate.Reached
	go func() { released <- f.broker.Release(t.Context(), slow, first.LeaseRef) }()
	f.issue()
	if len(released) > 0 {
		t.Error("a revocation succeeded before its lease was out of storage")
	}
	gate.Open()
	if err := errors.Join(<-released, <-released); err != nil {
		t.Error(err)
	}
}

// What a reader caused and did not wait for is there for the next one.
func TestReaderLeavesWhileItsSessionIsInstalled(t *testing.T) {
	f := newSharedFixture(t)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	slow := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Put, Prefix: "shared/",
		Then: storagetest.First(func() {
			leave()
			<-left
		}),
	})
	if _, err := f.broker.Issue(ctx, slow, f.source); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	close(left)
	f.broker.AwaitBackground()
	f.release(f.issue())
	f.wantExchanges(1)
	f.settle()
	f.wantNothingLeft()
}

func TestEarlierStatementCountsForEveryRole(t *testing.T) {
	f := newSharedFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer("1800") })
	f.issue()
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer("1745") })
	f.source.Role = "s"
	if got, want := f.issue().ExpiresAt.Sub(f.clock.Now()), 1745*time.Second; got != want {
		t.Errorf("end of the session: got %s from now, want %s as stated last", got, want)
	}
}

// The logout was carried out, and what should have followed was not: the session must not be issued again.
func TestSessionIsNotIssuedAfterItsLogout(t *testing.T) {
	t.Run("storage fails", func(t *testing.T) {
		f := newSharedFixture(t)
		lease := f.issue()
		f.storage.Script(writesFail(0))
		if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); !errors.Is(err, storagetest.ErrBroken) {
			t.Fatalf("got %v, want the storage error", err)
		}
		f.storage.Script()
		f.wantAlive(f.issue(), true)
		f.release(lease)
	})
	t.Run("the revocation is cut off", func(t *testing.T) {
		f := newSharedFixture(t)
		lease := f.issue()
		resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeAnswer, Times: 1})
		ctx, cancel := context.WithCancel(t.Context())
		released := make(chan struct{})
		go func() {
			defer close(released)
			_ = f.broker.Release(ctx, f.storage, lease.LeaseRef)
		}()
		await.That(t, "the session is logged out", func() bool { return f.server.Stats().LoggedOut == 1 })
		cancel()
		f.wantAlive(f.issue(), true) // nobody waits for its end
		resume()
		<-released
		f.release(lease)
		f.wantAlive(lease, false)
	})
}

// A revocation is cut off while Workfront has the logout before it. If that were cut off, too, Workfront could carry it out after it
// has returned the same session to another reader.
func TestLogoutThatWasSentIsWaitedFor(t *testing.T) {
	f := newFixture(t)
	first := f.issue()
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	ctx, cancel := context.WithCancel(t.Context())
	released := make(chan struct{})
	go func() {
		defer close(released)
		_ = f.broker.Release(ctx, f.storage, first.LeaseRef)
	}()
	await.That(t, "the logout hangs", func() bool { return f.server.Stats().Logouts == 1 })
	cancel()
	second := f.issue() // takes longer than a logout to be cut off
	resume()
	<-released
	if stats := f.server.Stats(); stats.LoggedOut != 1 || stats.Logouts != 1 {
		t.Errorf("got %+v, want the logout that was sent to be carried out", stats)
	}
	f.release(first)
	f.wantAlive(first, false)
	f.wantAlive(second, true)
}

// For the race detector: what is read of a session, and dropped, while calls work on it.
func TestLookingAndInvalidatingWhileLeasesComeAndGo(t *testing.T) {
	f := newSharedFixture(t)
	first := f.issue()
	record, err := f.broker.Session(t.Context(), f.storage, first.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		for range 100 {
			if _, err := f.broker.Leases(t.Context(), f.storage, record); err != nil {
				t.Error(err)
			}
			f.broker.Invalidate("session/" + first.SessionID)
		}
	})
	for range 50 {
		lease := f.issue()
		f.release(lease)
		f.release(lease)
	}
	others.Wait()
	f.wantAlive(first, true)
	f.release(first)
	f.wantAlive(first, false)
}

// Workfront hands a session out a second time, and it is logged out before that answer arrives.
func TestSessionThatIsLoggedOutDuringAnExchange(t *testing.T) {
	var first *session.Lease
	for _, tt := range []struct {
		name   string
		before func(f *fixture)
		ends   func(f *fixture)
	}{
		{"its lease is revoked", func(f *fixture) { first = f.issue() }, func(f *fixture) { f.release(first) }},
		{"its logout is pending", func(f *fixture) { f.leavePending() }, func(f *fixture) {
			f.clock.Advance(time.Minute)
			f.maintain()
		}},
		{"its revocation is cut off", func(f *fixture) { first = f.issue() }, func(f *fixture) {
			ctx, cancel := context.WithCancel(f.t.Context())
			f.server.OnEvent(func(e workfronttest.Event) {
				if e.Kind == workfronttest.LogoutReceived { // twice: Workfront is not believed at once
					f.server.EndSession(first.Token)
					cancel()
				}
			})
			if err := f.broker.Release(ctx, f.storage, first.LeaseRef); !errors.Is(err, context.Canceled) {
				f.t.Errorf("got %v, want the cancellation", err)
			}
			f.server.OnEvent(nil)
		}},
		{"its logout is not confirmed", func(f *fixture) { first = f.issue() }, func(f *fixture) {
			defer f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500, Apply: true})()
			f.release(first)
			f.wantState(first, ledger.StateEnding)
		}},
		{"storage does not take it", func(*fixture) {}, func(f *fixture) {
			f.storage.Script(writesFail(0))
			if _, err := f.broker.Issue(f.t.Context(), f.storage, f.source); !errors.Is(err, storagetest.ErrBroken) {
				f.t.Errorf("got %v, want the storage error", err)
			}
			f.storage.Script()
		}},
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, shared %t", tt.name, shared), func(t *testing.T) {
				f := newFixture(t)
				f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
				first = nil
				tt.before(f)
				returned := func() int { return f.server.Stats().Started + f.server.Stats().Reissued }
				before := returned()
				source := f.source
				if shared {
					source.Role, source.Shared, source.KeyFingerprint = "r", true, "made from this"
				}
				resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer, Times: 1})
				leases := make(chan *session.Lease, 1)
				go func() {
					lease, err := f.broker.Issue(t.Context(), f.storage, source)
					if err != nil {
						t.Errorf("issue: %v", err)
					}
					leases <- lease
				}()
				await.That(t, "the session is issued again", func() bool { return returned() > before })
				tt.ends(f)
				if alive := f.server.Stats().Alive; alive != 0 {
					t.Errorf("sessions alive: got %d, want it to be logged out", alive)
				}
				resume()
				second := <-leases
				if second == nil {
					t.FailNow()
				}
				f.wantAlive(second, true)
				f.release(second)
				if first != nil {
					f.release(first) // Vault repeats what was cut off
				}
				f.recover()
				f.wantNothingLeft()
			})
		}
	}
}

// After the end of sharing, the refresh that its last readers wait for and the one of the first new readers know nothing of
// each other. Neither session may be forgotten.
func TestTwoRefreshesOfOneRole(t *testing.T) {
	f := newSharedFixture(t)
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer})
	leases := make(chan *session.Lease, 2)
	read := func(exchanges int) {
		go func() {
			lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if err != nil {
				t.Errorf("issue: %v", err)
			}
			leases <- lease
		}()
		await.That(t, "the exchange is under way", func() bool { return f.server.Stats().Exchanges == exchanges })
	}
	read(1)
	if err := f.broker.Unshare(t.Context(), f.storage, f.source.Role); err != nil {
		t.Fatal(err)
	}
	read(2)
	resume()
	for range 2 {
		if lease := <-leases; lease != nil {
			f.release(lease)
		}
	}
	f.broker.AwaitBackground()
	f.wantNothingLeft()
}
