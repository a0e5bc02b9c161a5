package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const (
	disabled  = "mount unloaded while tainted"
	forgotten = "unloading with sessions"
)

// logged gives the fixture a broker whose log can be read.
func (f *fixture) logged() *logBuffer {
	log := new(logBuffer)
	f.options.Logger = log.logger()
	f.broker = f.newBroker()
	return log
}

// lineWith returns the line of a log that holds a text, or "".
func lineWith(log *logBuffer, text string) string {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// bucketEnd is by when a session ends, as the index tells.
func bucketEnd(end time.Time) string {
	return time.Unix((end.Unix()/600+1)*600, 0).UTC().Format(time.RFC3339)
}

func TestCloseTriesOnceMore(t *testing.T) {
	for _, disabling := range []bool{false, true} {
		t.Run(fmt.Sprintf("disabling %t", disabling), func(t *testing.T) {
			f := newFixture(t)
			log := f.logged()
			lease := f.leavePending()
			f.clock.Advance(time.Minute)
			f.broker.Close(t.Context(), f.storage, disabling)
			f.wantAlive(lease, false)
			f.wantEmptyLedger()
			if line := lineWith(log, disabled); line != "" {
				t.Errorf("nothing remains, but the log says %s", line)
			}
		})
	}
}

// What is down stays untried when the process merely ends: another one goes on. A mount that is disabled has no other.
func TestCloseDuringAnOutage(t *testing.T) {
	for _, disabling := range []bool{false, true} {
		t.Run(fmt.Sprintf("disabling %t", disabling), func(t *testing.T) {
			f := newFixture(t)
			f.leaveUnavailable() // a moment ago it was down
			before := f.server.Stats().Logouts
			f.broker.Close(t.Context(), f.storage, disabling)
			if tried := f.server.Stats().Logouts > before; tried != disabling {
				t.Errorf("tried %t, want %t", tried, disabling)
			}
		})
	}
}

// The last words count whatever may be alive: what is leased, shared and not leased, or pending.
func TestLastWords(t *testing.T) {
	f := newSharedFixture(t)
	log := f.logged()
	leased := f.unleasedReplacement()
	f.source.Shared = false
	pending := f.issue()
	f.server.Suspend()
	f.release(pending)
	f.broker.Close(t.Context(), f.storage, false)
	if line := lineWith(log, disabled); line != "" {
		t.Errorf("the mount is not being disabled, but the log says %s", line)
	}
	f.broker.Close(t.Context(), f.storage, true)
	line := lineWith(log, disabled)
	for _, want := range []string{"[WARN]", "sessions=3", "until=" + bucketEnd(pending.ExpiresAt)} {
		if !strings.Contains(line, want) {
			t.Errorf("the last words hold no %q: %s", want, line)
		}
	}
	for _, lease := range []*session.Lease{leased, pending} {
		if containsAny(log.String(), lease.Token) {
			t.Error("the log holds a session")
		}
	}
}

// unleasedReplacement makes a session current that nobody leases, and returns a lease on the one before.
func (f *fixture) unleasedReplacement() *session.Lease { return f.unleasedReplacementOf("r") }

func (f *fixture) unleasedReplacementOf(role string) *session.Lease {
	f.t.Helper()
	f.source.Role = role
	started := f.server.Stats().Started
	leased := f.issue()
	f.clock.Advance(25 * time.Minute)
	f.release(f.issue()) // fetches the replacement in the background
	await.That(f.t, "the replacement is there", func() bool {
		return f.server.Stats().Started == started+2 && f.broker.Waiting("roles/"+role) < 0
	})
	return leased
}

// Every session ends with its mount, leased or not. Should the mount stay after all, its leases revoke as usual.
func TestTaintedMountLogsOutEverySession(t *testing.T) {
	f := newSharedFixture(t)
	leased := f.unleasedReplacement()
	f.source.Shared = false
	fresh := f.issue()
	f.broker.Close(t.Context(), f.storage, true)
	f.wantNothingLeft()
	f.broker = f.newBroker() // as after an unsealing
	f.release(leased)
	f.release(fresh)
	f.wantNothingLeft()
}

func TestOwedSessionsAreNotForgottenInSilence(t *testing.T) {
	for disabling, want := range map[bool]string{false: forgotten, true: disabled} {
		t.Run(fmt.Sprintf("disabling %t", disabling), func(t *testing.T) {
			f := newFixture(t)
			log := f.logged()
			f.logoutsFail()
			f.storage.Script(writesFail(0))
			_, _ = f.broker.Issue(t.Context(), f.storage, f.source)
			f.broker.Close(t.Context(), f.storage, disabling)
			if line := lineWith(log, want); !strings.Contains(line, "[WARN]") || !strings.Contains(line, "sessions=1") {
				t.Errorf("the log says %q of the session", line)
			}
		})
	}
}

func TestLastWordsWithoutStorage(t *testing.T) {
	f := newFixture(t)
	log := f.logged()
	f.storage.Script(readsFail)
	f.broker.Close(t.Context(), f.storage, true)
	if line := lineWith(log, disabled); !strings.Contains(line, "unknown whether") {
		t.Errorf("the log says %q", line)
	}
}

// If what is shared cannot be ended, the next try has to find it.
func TestRetireCanBeRepeated(t *testing.T) {
	f := newSharedFixture(t)
	leased := f.unleasedReplacement()
	f.logged() // a new process
	storage := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Get, Prefix: "session/", Times: 1, Then: storagetest.Fail(storagetest.ErrBroken),
	})
	if err := f.broker.Unshare(t.Context(), storage, f.source.Role); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	if err := f.broker.Unshare(t.Context(), storage, f.source.Role); err != nil {
		t.Fatal(err)
	}
	f.wantAlive(leased, true)
	f.release(leased)
	f.wantNothingLeft()
}

// Closing ends in time however many logouts are pending, and the last words read none of it.
func TestCloseIsBriefHoweverMuchIsPending(t *testing.T) {
	f := newFixture(t)
	log := f.logged()
	const pending = 1000
	for i := range pending {
		f.storage.Set(t, fmt.Sprintf("pending/%d", i), "{}")
		f.storage.Set(t, fmt.Sprintf("session/%d", i), "{}")
	}
	stuck := storagetest.Over(f.storage, storagetest.Rule{
		On: storagetest.Get, Prefix: "session/", Then: storagetest.Hang,
	})
	began := time.Now()
	f.broker.Close(t.Context(), stuck, true)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("closing took %s, want 10 s at most", took)
	}
	if n := stuck.Calls(storagetest.Get); n >= pending {
		t.Errorf("%d sessions were read, want a few", n)
	}
	if line := lineWith(log, disabled); !strings.Contains(line, fmt.Sprintf("sessions=%d", pending)) {
		t.Errorf("the last words are %q", line)
	}
}

// The SDK holds a lock of the whole process meanwhile, so the other mounts wait with the one that is closed.
func TestCloseDoesNotWaitForStorage(t *testing.T) {
	for _, disabling := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := session.NewBroker(session.Options{Now: time.Now, Logger: hclog.NewNullLogger()})
			began := time.Now()
			b.Close(t.Context(), storagetest.New(storagetest.Rule{On: storagetest.Any, Then: storagetest.Hang}), disabling)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("disabling %t: closing took %s", disabling, took)
			}
		})
	}
}

// A standby unloads a mount that was disabled, too. What there is to do is done by the active node.
func TestDisablingOnAStandby(t *testing.T) {
	f := newSharedFixture(t)
	leased := f.unleasedReplacement()
	log := f.logged()
	f.storage.Script(storagetest.ReadOnly)
	f.broker.Close(t.Context(), f.storage, true)
	if n := f.server.Stats().Logouts; n != 0 {
		t.Errorf("%d logouts, want none", n)
	}
	if line := lineWith(log, disabled); line != "" {
		t.Errorf("the log says %s", line)
	}
	f.storage.Script()
	f.broker.Close(t.Context(), f.storage, true)
	f.release(leased)
	f.wantNothingLeft()
}

func TestCloseDoesNotWaitWithoutEnd(t *testing.T) {
	f := newFixture(t)
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	entered := make(chan struct{})
	f.server.OnEvent(func(workfronttest.Event) { close(entered) })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	go func() { _, _ = f.broker.Issue(ctx, f.storage, f.source) }()
	<-entered
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	f.broker.Close(cancelled, f.storage, false) // returns although the exchange hangs
}
