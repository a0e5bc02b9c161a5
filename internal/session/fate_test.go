package session_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// newAssumedFixture is a fixture whose Workfront states no lifetimes, and lets sessions live for longer than is assumed.
func newAssumedFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixtureWithTTL(t, 48*time.Hour)
	f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(workfronttest.OmitExpiresIn) })
	return f
}

// Many sessions are revoked past their assumed expiry, and Workfront has no turn for them, is overloaded or down, or something
// in between answers. None of them may be forgotten.
func TestSessionsRevokedPastTheirAssumedExpiryAreKept(t *testing.T) {
	logout := func(f workfronttest.Fault) workfronttest.Fault {
		f.Endpoint = workfronttest.EndpointLogout
		return f
	}
	for _, tt := range []struct {
		name  string
		fault workfronttest.Fault
		kept  bool // some of the logouts are pending
	}{
		{"no slot", logout(workfronttest.Fault{Hang: workfronttest.HangBeforeHandling}), true},
		{"a pause", logout(workfronttest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Times: 1}), true},
		{"overloaded", logout(workfronttest.Fault{Status: 429}), true},
		{"unavailable", logout(workfronttest.Fault{Status: 503}), true},
		{"a page", logout(workfronttest.Fault{Status: 200, Body: "<html>login</html>"}), true},
		{"a gateway's 401", logout(workfronttest.Fault{
			Status: 401, Body: "<html>login</html>", Header: http.Header{"WWW-Authenticate": {"Basic"}},
		}), true},
		{"nothing", workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // a logout takes 5 s at most
			f := newAssumedFixture(t)
			leases := make([]*session.Lease, 60)
			for i := range leases {
				leases[i] = f.issue()
			}
			f.clock.Advance(32 * time.Minute)
			f.server.Inject(tt.fault)
			var all sync.WaitGroup
			for _, l := range leases {
				all.Go(func() {
					if err := f.broker.Release(t.Context(), f.storage, l.LeaseRef); err != nil {
						t.Errorf("release: %v", err)
					}
				})
			}
			all.Wait()
			f.wantAccounted()
			if alive := f.server.Stats().Alive; (alive > 0) != tt.kept {
				t.Errorf("%d sessions alive after their revocation, want some: %t", alive, tt.kept)
			}
			f.server.ClearFaults()
			f.clock.Advance(time.Minute)
			await.That(t, "all are logged out", func() bool { // a pause takes its time
				f.maintain()
				f.wantAccounted()
				return f.server.Stats().Alive == 0 || t.Failed()
			})
			f.wantNothingLeft()
		})
	}
}

// What an operator ends, the unloading of a tainted mount, and the end of a trial are owed past an assumed expiry, whatever
// Workfront answers.
func TestOwedPastTheAssumedExpiry(t *testing.T) {
	refuse := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 403, Body: refusedLogout}
	for name, end := range map[string]func(f *fixture, lease *session.Lease){
		"termination": func(f *fixture, lease *session.Lease) {
			if _, err := f.broker.Terminate(f.t.Context(), f.storage, lease.SessionID); err == nil {
				f.t.Error("termination: got no error, want why the session may be alive")
			}
		},
		"unloading": func(f *fixture, _ *session.Lease) {
			f.broker.Close(f.t.Context(), f.storage, true)
			f.broker = f.newBroker()
		},
		"trial that is given a session with a pending logout": func(f *fixture, lease *session.Lease) {
			f.behave(func(b *workfronttest.Behaviour) {
				b.SameSession, b.ExpiresIn = true, pointer(workfronttest.OmitExpiresIn)
			})
			trial, err := f.broker.Try(f.t.Context(), f.source)
			if err != nil {
				f.t.Fatal(err)
			}
			f.release(lease)
			f.clock.Advance(time.Hour)
			if inUse, err := trial.End(f.t.Context(), f.storage); inUse || err == nil {
				f.t.Errorf("end of the trial: got in use %t, %v; want false, and why the session may be alive", inUse, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newAssumedFixture(t)
			f.behave(func(b *workfronttest.Behaviour) {
				b.SameSession, b.ExpiresIn = true, pointer(workfronttest.OmitExpiresIn)
			})
			lease := f.issue()
			if name != "trial that is given a session with a pending logout" {
				f.clock.Advance(time.Hour)
			}
			f.server.Inject(refuse)
			end(f, lease)
			f.wantAlive(lease, true)
			f.wantState(lease, ledger.StateEnding)
			f.recover()
			f.wantAlive(lease, false)
			f.wantNothingLeft()
		})
	}
}

// A pending logout is retried past the stated expiry until Workfront itself answers, and past an assumed one for 24 hours.
func TestPendingLogoutPastItsExpiry(t *testing.T) {
	refused := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 403, Body: refusedLogout}
	page := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 403, Body: "<html>no</html>"}
	for _, tt := range []struct {
		name, expiresIn string
		fault           workfronttest.Fault
		after           time.Duration
		want            ledger.State
	}{
		{"stated, refused", "1800", refused, time.Hour, ""},
		{"stated, a page", "1800", page, time.Hour, ledger.StateEnding},
		{"stated, a page, for a day", "1800", page, 24 * time.Hour, ""},
		{"assumed, refused", workfronttest.OmitExpiresIn, refused, time.Hour, ledger.StateEnding},
		{"assumed, refused, for almost a day", workfronttest.OmitExpiresIn, refused, 24*time.Hour - time.Second, ledger.StateEnding},
		{"assumed, refused, for a day", workfronttest.OmitExpiresIn, refused, 24 * time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newAssumedFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(tt.expiresIn) })
			lease := f.leavePending()
			f.server.Inject(tt.fault)
			f.clock.Advance(tt.after)
			f.maintain()
			f.wantState(lease, tt.want)
		})
	}
}

// The clock of the machine is wrong during one run of maintenance. Nothing that is leased may end because of that.
func TestClockThatIsWrongForOneRun(t *testing.T) {
	for _, runs := range []int{0, 1, 3} {
		for _, expiresIn := range []string{"1800", workfronttest.OmitExpiresIn} {
			t.Run(fmt.Sprintf("after %d runs, %s", runs, expiresIn), func(t *testing.T) {
				f := newAssumedFixture(t)
				f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(expiresIn) })
				ahead := time.Duration(0)
				f.options.Now = func() time.Time { return f.clock.Now().Add(ahead) }
				f.broker = f.newBroker()
				leases := []*session.Lease{f.issue(), f.issue(), f.issue()}
				for range runs {
					f.maintain()
				}
				ahead = 2 * time.Hour
				f.maintain()
				ahead = 0
				f.maintain()
				f.maintain()
				for _, l := range leases {
					f.wantAlive(l, true)
					f.wantState(l, ledger.StateActive)
					f.release(l)
				}
				f.wantNothingLeft()
			})
		}
	}
}

// Workfront retires the version of the API that sessions pin. They can be logged out by the one that config names now.
func TestLogoutByTheConfiguredVersion(t *testing.T) {
	f := newFixture(t)
	kept, pending, terminated := f.issue(), f.issue(), f.issue()
	retired := workfronttest.DefaultBehaviour()
	retired.RetiredVersions = append(retired.RetiredVersions, "v22.0")
	f.server.SetBehaviour(retired)
	f.configure(&session.Trust{
		BaseURL: f.server.URL(), CACert: f.server.CACert(), SecretID: f.source.SecretID, APIVersion: "v21.0",
	}, nil)
	f.release(kept)
	f.wantAlive(kept, false)

	remove := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	f.release(pending)
	remove()
	f.clock.Advance(time.Minute)
	f.maintain()
	f.wantAlive(pending, false)

	if _, err := f.broker.Terminate(t.Context(), f.storage, terminated.SessionID); err != nil {
		t.Error(err)
	}
	trial, err := f.broker.Try(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trial.End(t.Context(), f.storage); err != nil {
		t.Error(err)
	}
	f.wantNothingLeft()

	unconfigured := f.issue() // config was deleted since, or moved to another host
	f.configure(nil, nil)
	f.release(unconfigured)
	f.wantAlive(unconfigured, false)
}

// The background check, too, works by the configured version: it neither takes a 410 for the end of a session, nor misses that.
func TestCheckByTheConfiguredVersion(t *testing.T) {
	for _, configured := range []string{"", "v21.0"} {
		f := newSharedFixture(t)
		first := f.issue()
		retired := workfronttest.DefaultBehaviour()
		retired.RetiredVersions = append(retired.RetiredVersions, "v22.0")
		f.server.SetBehaviour(retired)
		if configured != "" {
			f.configure(&session.Trust{
				BaseURL: f.server.URL(), CACert: f.server.CACert(), SecretID: f.source.SecretID, APIVersion: configured,
			}, nil)
		}
		f.clock.Advance(time.Minute)
		f.issue()
		f.broker.AwaitBackground()
		f.wantState(first, ledger.StateActive)
		f.server.EndSession(first.Token)
		f.clock.Advance(time.Minute)
		f.issue()
		f.broker.AwaitBackground()
		f.wantState(first, ledger.StateGone)
	}
}

// What says nothing of a host's health does not keep it from being called.
func TestAnswersThatDoNotMarkTheHost(t *testing.T) {
	for _, fault := range []workfronttest.Fault{
		{Status: 429, Times: 3},
		{Status: 500, Times: 1},
		{Status: 501, Times: 1},
		{Status: 200, Body: "<html>login</html>", Times: 8},
		{Status: 403, Body: "<html>no</html>", Times: 1},
	} {
		t.Run(fmt.Sprint(fault.Status), func(t *testing.T) {
			f := newFixture(t)
			first, second := f.issue(), f.issue()
			fault.Endpoint = workfronttest.EndpointLogout
			remove := f.server.Inject(fault)
			f.release(first)
			remove()
			f.wantState(first, ledger.StateEnding)
			if f.broker.Hosts()[0].Unavailable {
				t.Error("the host is marked unavailable")
			}
			f.release(second)
			f.wantAlive(second, false)
		})
	}
}
