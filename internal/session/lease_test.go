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
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestLeaseLogsOutItsSession(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.wantAlive(lease, true)
	f.wantState(lease, ledger.StateActive)
	if got, want := lease.ExpiresAt, f.clock.Now().Add(30*time.Minute); !got.Equal(want) {
		t.Errorf("expires at: got %s, want %s, as workfront stated", got, want)
	}

	f.release(lease)
	f.wantAlive(lease, false)
	f.wantEmptyLedger()

	f.release(lease) // Vault repeats revocations
	if got := f.server.Stats().Logouts; got != 1 {
		t.Errorf("logouts: got %d, want 1", got)
	}
}

func TestReleaseSurvivesRestart(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.broker = f.newBroker()
	f.release(lease)
	f.wantAlive(lease, false)
	f.wantEmptyLedger()
}

// refusedLogout is Workfront's own answer.
const refusedLogout = `{"error":{"class":"com.attask.AccessException","message":"no"}}`

func TestEndOfSession(t *testing.T) {
	const life, pending = 30 * time.Minute, ledger.StateEnding
	logout := func(status int, body string) workfronttest.Fault {
		return workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: status, Body: body}
	}
	none := workfronttest.Fault{}
	refusal := logout(403, refusedLogout)
	broken, page, paused, unavailable := logout(500, ""), logout(403, "<html>no</html>"), logout(429, ""), logout(503, "")
	tests := []struct {
		name      string
		expiresIn string
		after     time.Duration
		fault     workfronttest.Fault // of the logout
		logouts   int
		state     ledger.State
	}{
		{"stated, before", "1800", life - time.Second, none, 1, ""},
		{"stated, before and refused: pending", "1800", life - time.Second, refusal, 1, pending},
		{"stated, past: one attempt", "1800", life, none, 1, ""},
		{"stated, past and refused: dropped", "1800", life, refusal, 1, ""},
		{"stated, past and broken: pending", "1800", life, broken, 1, pending},
		{"assumed, before", workfronttest.OmitExpiresIn, life - time.Second, none, 1, ""},
		{"assumed, before and refused: pending", workfronttest.OmitExpiresIn, life - time.Second, refusal, 1, pending},
		{"assumed, past: one attempt", workfronttest.OmitExpiresIn, life, none, 1, ""},
		{"assumed, past and refused: dropped", workfronttest.OmitExpiresIn, life, refusal, 1, ""},
		{"assumed, past and broken: pending", workfronttest.OmitExpiresIn, life, broken, 1, pending},
		{"assumed, past and a page: pending", workfronttest.OmitExpiresIn, life, page, 1, pending},
		{"assumed, past and too many calls: pending", workfronttest.OmitExpiresIn, life, paused, 3, pending},
		{"assumed, past and unavailable: pending", workfronttest.OmitExpiresIn, life, unavailable, 3, pending},
		{"zero is no statement", "0", life, broken, 1, pending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(tt.expiresIn) })
			lease := f.issue()
			f.clock.Advance(tt.after)
			if tt.fault.Status != 0 {
				f.server.Inject(tt.fault)
			}
			f.release(lease)
			if got := f.server.Stats().Logouts; got != tt.logouts {
				t.Errorf("logouts: got %d, want %d", got, tt.logouts)
			}
			f.wantState(lease, tt.state)
			if tt.state == "" {
				f.wantEmptyLedger()
				return
			}
			f.recover()
			f.wantAlive(lease, false)
			f.wantEmptyLedger()
		})
	}
}

func TestSessionTooShortIsNotIssued(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer("1.9") })
	_, err := f.broker.Issue(t.Context(), f.storage, f.source)
	var unavailable *workfront.UnavailableError
	if !errors.As(err, &unavailable) {
		t.Errorf("got %v, want an UnavailableError", err)
	}
	if alive := f.server.Stats().Alive; alive != 0 {
		t.Errorf("sessions left at workfront: got %d, want 0", alive)
	}
	f.wantEmptyLedger()
}

func TestIssueFails(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fixture)
		check  func(error) bool
	}{
		{"refused", func(f *fixture) { f.source.ClientSecret = "wrong" }, isA[*workfront.RefusedError]},
		{"down", func(f *fixture) { f.server.Suspend() }, isA[*workfront.UnavailableError]},
		{"unusable trust", func(f *fixture) { f.source.Endpoint.CACert = "no certificate" }, func(err error) bool { return err != nil }},
		{"unloading", func(f *fixture) { f.broker.Close(f.t.Context(), f.storage, false) }, func(err error) bool { return err != nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			tt.change(f)
			lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
			if lease != nil || !tt.check(err) {
				t.Errorf("got lease %v, error %v", lease, err)
			}
			f.wantEmptyLedger()
		})
	}
}

func isA[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

// Workfront may answer two exchanges with the same session.
func TestSameSessionLivesUntilItsLastLease(t *testing.T) {
	orders := [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}}
	for _, restart := range []bool{false, true} {
		for _, order := range orders {
			t.Run(fmt.Sprintf("%v restart=%t", order, restart), func(t *testing.T) {
				f := newFixture(t)
				f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
				leases := []*session.Lease{f.issue(), f.issue(), f.issue()}
				if leases[0].SessionID != leases[2].SessionID {
					t.Fatal("the stand-in did not return the same session")
				}
				for i, n := range order {
					if restart {
						f.broker = f.newBroker()
					}
					f.wantAlive(leases[n], true)
					f.release(leases[n])
					f.release(leases[n]) // twice is once
					f.wantAlive(leases[n], i < len(order)-1)
				}
				f.wantEmptyLedger()
			})
		}
	}
}

func TestSameSessionTakesTheNewStatement(t *testing.T) {
	tests := []struct {
		name          string
		first, second string // expires_in
		later         time.Duration
		want          time.Duration // end of the session, from the first exchange
	}{
		{"stated later", "600", "1800", time.Minute, 31 * time.Minute},
		{"stated earlier", "1800", "600", time.Minute, 11 * time.Minute},
		{"assumed does not get younger", workfronttest.OmitExpiresIn, workfronttest.OmitExpiresIn, time.Minute, 30 * time.Minute},
		{"assumed, and proved wrong", workfronttest.OmitExpiresIn, workfronttest.OmitExpiresIn, 30 * time.Minute, 60 * time.Minute},
		{"assumed, in its last quarter", workfronttest.OmitExpiresIn, workfronttest.OmitExpiresIn, 23 * time.Minute, 53 * time.Minute},
		{"stated, in its last quarter: not assumed", "1800", workfronttest.OmitExpiresIn, 29*time.Minute + 50*time.Second, 30 * time.Minute},
		{"stated, and passed: assumed", "1800", workfronttest.OmitExpiresIn, 30 * time.Minute, 60 * time.Minute},
		{"a statement beats an assumption", workfronttest.OmitExpiresIn, "600", time.Minute, 11 * time.Minute},
		{"an assumption does not beat a statement", "600", workfronttest.OmitExpiresIn, time.Minute, 10 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixtureWithTTL(t, 2*time.Hour)
			start := f.clock.Now()
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer(tt.first) })
			first := f.issue()
			f.clock.Advance(tt.later)
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer(tt.second) })
			second := f.issue()
			if got := second.ExpiresAt.Sub(start); got != tt.want {
				t.Errorf("end: got %s, want %s", got, tt.want)
			}
			f.release(first)
			f.wantAlive(second, true)
			f.release(second)
			f.wantAlive(second, false)
			f.wantEmptyLedger()
		})
	}
}

func TestReaderThatLeaves(t *testing.T) {
	f := newFixture(t)
	entered := make(chan struct{})
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			close(entered)
		}
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	ctx, leave := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := f.broker.Issue(ctx, f.storage, f.source)
		failed <- err
	}()
	<-entered
	leave()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader got %v, want %v", err, context.Canceled)
	}
	resume()
	await.That(t, "the session that nobody waits for is logged out", func() bool {
		stats := f.server.Stats()
		return stats.Started == 1 && stats.LoggedOut == 1
	})
	f.broker.Close(t.Context(), f.storage, false) // waits for what is in flight
	f.wantEmptyLedger()

	if _, err := f.broker.Issue(ctx, f.storage, f.source); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader that has left already got %v, want %v", err, context.Canceled)
	}
	if got := f.server.Stats().Exchanges; got != 1 {
		t.Errorf("exchanges: got %d, want 1", got)
	}
}

func TestConcurrentLeases(t *testing.T) {
	for _, same := range []bool{false, true} {
		t.Run(fmt.Sprintf("same session %t", same), func(t *testing.T) {
			f := newFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession = same })
			var readers sync.WaitGroup
			for range 40 {
				readers.Go(func() {
					lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
					if err != nil {
						t.Errorf("issue: %v", err)
						return
					}
					if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); err != nil {
						t.Errorf("release: %v", err)
					}
				})
			}
			readers.Wait()
			stats := f.server.Stats()
			if stats.Alive != 0 || stats.Started != stats.LoggedOut {
				t.Errorf("started %d, logged out %d, alive %d; want none alive", stats.Started, stats.LoggedOut, stats.Alive)
			}
			f.wantEmptyLedger()
		})
	}
}

func TestErrorsNameNoCredential(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.EchoRefusals = true })
	f.source.CustomerID = "another"
	_, err := f.broker.Issue(t.Context(), f.storage, f.source)
	if err == nil || containsAny(err.Error(), f.source.ClientSecret, "eyJ") {
		t.Errorf("got error %v, want one without the client secret and the JWT", err)
	}
}

func TestLeaseCountsFromBeforeTheExchange(t *testing.T) {
	f := newFixture(t)
	sent := f.clock.Now()
	f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer("600") })
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			f.clock.Advance(5 * time.Second) // the exchange takes a while
		}
	})
	if got, want := f.issue().ExpiresAt, sent.Add(600*time.Second); !got.Equal(want) {
		t.Errorf("expires at: got %s, want %s", got, want)
	}
}

func TestWaitingForABusySessionEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	entered := make(chan struct{})
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.LogoutReceived {
			close(entered)
		}
	})
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeAnswer, Times: 1})
	done := make(chan error)
	go func() { done <- f.broker.Release(t.Context(), f.storage, lease.LeaseRef) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.broker.Release(ctx, f.storage, lease.LeaseRef); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	resume()
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.wantEmptyLedger()
}
