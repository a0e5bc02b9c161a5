package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// leavePending issues a lease and releases it while Workfront does not log out.
func (f *fixture) leavePending() *session.Lease {
	f.t.Helper()
	return f.leavePendingBy(500)
}

// leaveUnavailable is leavePending while Workfront is down, so that its host is marked unavailable.
func (f *fixture) leaveUnavailable() {
	f.t.Helper()
	f.leavePendingBy(502)
}

func (f *fixture) leavePendingBy(status int) *session.Lease {
	f.t.Helper()
	lease := f.issue()
	remove := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: status})
	f.release(lease)
	remove()
	f.wantState(lease, ledger.StateEnding)
	return lease
}

func TestLogoutThatDoesNotSucceedIsPending(t *testing.T) {
	answer := func(status int, body string) func(*fixture) {
		return func(f *fixture) {
			f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: status, Body: body})
		}
	}
	tests := []struct {
		name  string
		fault func(*fixture)
	}{
		{"success false", answer(200, `{"data":{"success":false}}`)},
		{"error in a 200", answer(200, `{"error":{"class":"c","message":"m"},"data":{"success":true}}`)},
		{"html in a 200", answer(200, "<html>login</html>")},
		{"empty 200", answer(200, "")},
		{"forbidden", answer(403, `{"error":{"message":"no"}}`)},
		{"server error", answer(500, "")},
		{"overloaded", answer(503, "")},
		{"redirect", answer(302, "")},
		{"connection reset", func(f *fixture) {
			f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Reset: workfronttest.ResetBeforeHandling})
		}},
		{"down", func(f *fixture) { f.server.Suspend() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			lease := f.issue()
			tt.fault(f)
			f.release(lease)
			f.wantState(lease, ledger.StateEnding)
			f.wantAlive(lease, true)

			f.release(lease) // a repeated revocation changes nothing
			f.wantState(lease, ledger.StateEnding)

			f.maintain() // still broken
			f.wantState(lease, ledger.StateEnding)

			f.server.ClearFaults()
			if err := f.server.Resume(); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(time.Minute)
			f.broker = f.newBroker() // a pending logout survives a restart
			f.maintain()
			f.wantAlive(lease, false)
			f.wantEmptyLedger()
		})
	}
}

func TestKnownOutageLeavesPendingAtOnce(t *testing.T) {
	f := newFixture(t)
	first, second, third := f.issue(), f.issue(), f.issue()
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502})
	f.release(first)
	calls := f.server.Stats().Logouts
	f.release(second)
	if got := f.server.Stats().Logouts; got != calls {
		t.Errorf("logouts after one failed: got %d more, want none", got-calls)
	}
	f.wantState(second, ledger.StateEnding)

	f.server.ClearFaults()
	f.clock.Advance(time.Minute) // by then it is worth a try
	f.release(third)
	f.wantAlive(third, false)
	f.maintain()
	f.wantEmptyLedger()
}

// An endpoint that stays down is tried less and less often by revocations, and by each run of the periodic job.
func TestLongOutageIsTriedLessOften(t *testing.T) {
	f := newFixture(t)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502})
	tried := func(what string, do func()) {
		t.Helper()
		before := f.server.Stats().Logouts
		if do(); f.server.Stats().Logouts == before {
			t.Errorf("no logout was tried %s", what)
		}
	}
	untried := func(what string, lease *session.Lease) {
		t.Helper()
		before := f.server.Stats().Logouts
		if f.release(lease); f.server.Stats().Logouts != before {
			t.Errorf("a logout was tried %s", what)
		}
	}
	tried("at first", func() { f.release(f.issue()) })
	for _, down := range []time.Duration{15 * time.Second, 30 * time.Second, 45 * time.Second, 45 * time.Second} {
		late := f.issue()
		f.clock.Advance(down - time.Second)
		untried(fmt.Sprintf("%s after a failed one", down-time.Second), late)
		f.clock.Advance(time.Second)
		tried(fmt.Sprintf("%s after a failed one", down), func() { f.release(f.issue()) })
	}
	tried("by the job", f.maintain)

	f.server.ClearFaults()
	again := f.issue()
	f.maintain() // which finds it up again
	f.release(again)
	f.wantNothingLeft()
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502})
	tried("in the next outage", func() { f.release(f.issue()) })
	f.clock.Advance(15 * time.Second)
	tried("15s after its first", func() { f.release(f.issue()) })
}

// An outage leaves thousands of logouts pending. The log says so in a few lines, with the cause and the sum.
func TestLogOfAnOutageIsShort(t *testing.T) {
	f := newFixture(t)
	var log logBuffer
	f.broker = session.NewBroker(session.Options{Now: f.clock.Now, Logger: log.logger()})
	var leases []*session.Lease
	for range 20 {
		leases = append(leases, f.issue())
	}
	f.logoutsFail()
	for _, lease := range leases {
		f.release(lease)
	}
	wantLines := func(level, text string, want int) {
		t.Helper()
		n := 0
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, level) && strings.Contains(line, text) {
				n++
			}
		}
		if n != want {
			t.Errorf("the log has %d lines %s with %q, want %d:\n%s", n, level, text, want, log.String())
		}
	}
	wantLines("[WARN]", "logout pending, will retry", 1)
	wantLines("[WARN]", "HTTP status 500", 1)
	wantLines("[DEBUG]", "logout pending, will retry", 19)
	f.maintain()
	wantLines("[WARN]", "logouts still pending: sessions=20", 1)
	f.recover()
	wantLines("[INFO]", "pending logouts succeeded: sessions=20", 1)
	wantLines("[WARN]", "", 2)
	wantLines("[INFO]", "", 1)
}

func TestSessionPastItsAssumedEndIsNotDroppedUntried(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(workfronttest.OmitExpiresIn) })
	first, second := f.issue(), f.issue()
	f.clock.Advance(time.Hour)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502, Times: 3})
	f.release(first) // finds out that the endpoint is down
	f.release(second)
	f.wantState(second, ledger.StateEnding)
	f.clock.Advance(time.Minute)
	f.maintain()
	f.wantEmptyLedger()
}

func TestPendingLogoutIsGivenUp(t *testing.T) {
	tests := []struct {
		name      string
		expiresIn string
		after     time.Duration
		kept      bool
	}{
		{"before the stated end", "7200", 2*time.Hour - time.Second, true},
		{"past the stated end, without an answer", "7200", 2 * time.Hour, true},
		{"past the stated end, after 24 hours", "7200", 24 * time.Hour, false},
		{"past the assumed end", workfronttest.OmitExpiresIn, time.Hour, true},
		{"before 24 hours", workfronttest.OmitExpiresIn, 24*time.Hour - time.Second, true},
		{"after 24 hours", workfronttest.OmitExpiresIn, 24 * time.Hour, false},
		{"after 24 hours, before the stated end", "172800", 24 * time.Hour, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(tt.expiresIn) })
			lease := f.leavePending()
			f.server.Suspend()
			f.clock.Advance(tt.after)
			f.maintain()
			if tt.kept {
				f.wantState(lease, ledger.StateEnding)
			} else {
				f.wantEmptyLedger()
			}
		})
	}
}

func TestPendingSessionReturnedAgainIsLive(t *testing.T) {
	f := newFixture(t)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
	pending := f.leavePending()
	again := f.issue()
	if again.SessionID != pending.SessionID {
		t.Fatal("the stand-in did not return the same session")
	}
	f.wantState(again, ledger.StateActive)
	f.clock.Advance(time.Minute)
	f.maintain()
	f.release(pending) // its lease has gone before
	f.wantAlive(again, true)
	f.release(again)
	f.wantAlive(again, false)
	f.wantEmptyLedger()
}

func TestMaintainDropsWhatHasEnded(t *testing.T) {
	tests := []struct {
		name      string
		expiresIn string
		logouts   int
	}{
		{"stated", "1800", 1},
		{"assumed", workfronttest.OmitExpiresIn, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer(tt.expiresIn) })
			f.issue()
			lease := f.issue() // a second lease on it
			f.clock.Advance(29 * time.Minute)
			f.maintain()
			f.wantState(lease, ledger.StateActive)

			f.clock.Advance(15 * time.Minute)
			f.maintain()
			f.wantState(lease, ledger.StateActive) // the clock may be wrong
			f.maintain()
			f.wantEmptyLedger()
			if got := f.server.Stats().Logouts; got != tt.logouts {
				t.Errorf("logouts: got %d, want %d", got, tt.logouts)
			}
			f.release(lease)
			f.wantEmptyLedger()
		})
	}
}

func TestMaintainDropsIndexEntriesThatLeadNowhere(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.storage.Set(t, "expiry/1/"+lease.SessionID, "{}") // from a session whose end was moved
	f.storage.Set(t, "expiry/1/0123456789abcdef", "{}") // from a crash before the session was written
	f.storage.Set(t, "expiry/odd/0123456789abcdef", "{}")
	f.storage.Set(t, "pending/"+lease.SessionID, "{}") // from a session that was returned again
	f.storage.Set(t, "pending/0123456789abcdef", "{}")
	f.expire()
	f.wantState(lease, ledger.StateActive)
	f.release(lease)
	if err := f.storage.Delete(t.Context(), "expiry/odd/0123456789abcdef"); err != nil {
		t.Fatal(err)
	}
	f.wantEmptyLedger()
}

// What the periodic job costs must not grow with the number of live sessions.
func TestMaintainDoesNotReadWhatLives(t *testing.T) {
	cost := func(sessions int) int {
		f := newFixture(t)
		for range sessions {
			f.issue()
		}
		before := f.storage.Calls(storagetest.Any)
		f.maintain()
		return f.storage.Calls(storagetest.Any) - before
	}
	if one, many := cost(1), cost(50); one != many {
		t.Errorf("storage calls with 50 live sessions: got %d, want %d as with one", many, one)
	}
}

func TestMaintainOnAStandbyDoesNothing(t *testing.T) {
	f := newFixture(t)
	f.leavePending()
	calls := f.server.Stats().Logouts
	f.storage.Script(storagetest.ReadOnly)
	f.clock.Advance(time.Minute)
	f.maintain()
	if got := f.server.Stats().Logouts; got != calls {
		t.Errorf("logouts sent by a node that cannot write: got %d, want none", got-calls)
	}
	f.storage.Script()
	f.maintain()
	f.wantEmptyLedger()
}

func TestMaintainReportsStorageFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault storagetest.Rule
	}{
		{"reads fail", readsFail},
		{"writes fail", writesFail(0)},
		{"later writes fail", writesFail(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.leavePending()
			f.clock.Advance(time.Minute)
			f.storage.Script(tt.fault)
			if err := f.broker.Maintain(t.Context(), f.storage); err == nil {
				t.Error("got no error")
			}
			f.storage.Script()
			f.maintain()
			f.wantEmptyLedger()
		})
	}
}

// What maintenance has no time to finish is left to its next run, so that nothing is cut off between the writes of a removal.
func TestMaintenanceBeginsNothingShortlyBeforeItsDeadline(t *testing.T) {
	f := newFixture(t)
	pending, expired := f.leavePending(), f.issue()
	f.clock.Advance(29 * time.Minute) // both have expired in a minute, and the bucket of their expiry has passed in 11
	for _, run := range []struct {
		passes, timeout time.Duration
		pending         ledger.State
		expired         ledger.State
	}{
		{0, 5 * time.Second, ledger.StateEnding, ledger.StateActive},
		{0, time.Minute, "", ledger.StateActive},
		{12 * time.Minute, 5 * time.Second, "", ledger.StateActive},
		{0, time.Minute, "", ""},
	} {
		f.clock.Advance(run.passes)
		if run.passes > 0 {
			f.broker.Maintain(f.t.Context(), storagetest.Over(f.storage, readsFail)) //nolint:errcheck // it only sees the time
		}
		ctx, cancel := context.WithTimeout(t.Context(), run.timeout)
		if err := f.broker.Maintain(ctx, f.storage); err != nil {
			t.Errorf("with %s: %v", run.timeout, err)
		}
		cancel()
		f.wantState(pending, run.pending)
		f.wantState(expired, run.expired)
	}
}
