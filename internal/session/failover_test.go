package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// A leader that was frozen goes on with what it was about to do, though another node leads now, and has issued the session
// again. It must find out that it cannot write before it logs anything out that stands in the ledger.
func TestReplacedLeaderLogsNothingOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(f *fixture, frozen logical.Storage, lease *session.Lease)
	}{
		{"revocation", func(f *fixture, frozen logical.Storage, lease *session.Lease) {
			if err := f.broker.Release(f.t.Context(), frozen, lease.LeaseRef); err == nil {
				f.t.Error("a revocation by a node that cannot write must be repeated, but got no error")
			}
		}},
		{"end of sharing", func(f *fixture, frozen logical.Storage, _ *session.Lease) {
			_ = f.broker.Unshare(f.t.Context(), frozen, f.source.Role)
		}},
		{"maintenance", func(f *fixture, frozen logical.Storage, _ *session.Lease) {
			_ = f.broker.Maintain(f.t.Context(), frozen)
		}},
		{"termination", func(f *fixture, frozen logical.Storage, lease *session.Lease) {
			_, _ = f.broker.Terminate(f.t.Context(), frozen, lease.SessionID)
		}},
		{"unloading", func(f *fixture, frozen logical.Storage, _ *session.Lease) {
			f.broker.Close(f.t.Context(), frozen, true)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newSharedFixture(t)
			lease := f.issue()
			f.release(f.issue()) // has written a moment ago
			next := f.newBroker()
			held, err := next.Issue(t.Context(), f.storage, f.source)
			if err != nil {
				t.Fatal(err)
			}
			// What the thawed node reads may be old; what it writes is refused.
			frozen := f.snapshot()
			frozen.Script(storagetest.ReadOnly)
			f.clock.Advance(10 * time.Second)
			tt.do(f, frozen, lease)
			if n := f.server.Stats().Logouts; n != 0 {
				t.Errorf("%d logouts by a node that cannot write, want none", n)
			}
			f.wantAlive(held, true)
		})
	}
}

// snapshot returns a copy of what is stored.
func (f *fixture) snapshot() *storagetest.Storage {
	f.t.Helper()
	snapshot := storagetest.New()
	for _, key := range f.storage.Keys(f.t) {
		snapshot.Set(f.t, key, f.storage.Value(f.t, key))
	}
	return snapshot
}

// Vault's client may be cut off while the logout hangs: the session of a leaked token must not live on for that.
func TestTerminationThatIsCutOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer workfronttest.Fault
		state  ledger.State
	}{
		{"carried out", workfronttest.Fault{}, ""},
		{"pending", workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500}, ledger.StateEnding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newSharedFixture(t)
			lease := f.issue()
			if tt.answer.Status != 0 {
				f.server.Inject(tt.answer)
			}
			ctx, cutOff := context.WithCancel(t.Context())
			f.server.OnEvent(func(e workfronttest.Event) {
				if e.Kind == workfronttest.LogoutReceived {
					f.wantState(lease, ledger.StateEnding) // should the process die now
					cutOff()
				}
			})
			_, err := f.broker.Terminate(ctx, f.storage, lease.SessionID)
			if (err == nil) != (tt.state == "") {
				t.Errorf("got %v", err)
			}
			f.server.OnEvent(nil)
			f.wantState(lease, tt.state)
			f.wantAlive(lease, tt.state != "")
			f.recover()
			f.wantNothingLeft()
			f.release(lease)
		})
	}
}

// What waits for a reader who has left is not sent.
func TestReaderWhoLeavesTheQueue(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(map[bool]string{false: "own", true: "shared"}[shared], func(t *testing.T) {
			f := newFixture(t)
			f.source.MaxConnections = 2 // one of them for exchanges
			resume := f.server.Inject(workfronttest.Fault{
				Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling, Times: 1,
			})
			first := make(chan error)
			go func() {
				lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
				if err == nil {
					err = f.broker.Release(t.Context(), f.storage, lease.LeaseRef)
				}
				first <- err
			}()
			await.That(t, "the first exchange is under way", func() bool { return f.server.Stats().Exchanges == 1 })
			second := f.source
			second.Shared, second.Role = shared, "r"
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error)
			go func() {
				_, err := f.broker.Issue(ctx, f.storage, second)
				left <- err
			}()
			if shared {
				await.That(t, "the second waits", func() bool { return f.broker.Waiting("roles/r") == 1 })
			}
			leave()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			resume()
			if err := <-first; err != nil {
				t.Error(err)
			}
			f.broker.AwaitBackground()
			f.wantExchanges(1)
			f.wantNothingLeft()
		})
	}
}

// edit changes an entry in storage.
func (f *fixture) edit(key string, change func(map[string]any)) {
	f.t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(f.storage.Value(f.t, key)), &value); err != nil {
		f.t.Fatalf("entry %s: %v", key, err)
	}
	changed := maps.Clone(value)
	change(changed)
	text, err := json.Marshal(changed)
	if err != nil {
		f.t.Fatal(err)
	}
	f.storage.Set(f.t, key, string(text))
}

// Thousands of leases are revoked after their session was lost with a snapshot, or logged out outside Vault.
func TestLogOfLeasesWithoutASession(t *testing.T) {
	f := newFixture(t)
	log := f.logged()
	var lost *session.Lease
	for range 20 {
		lost = f.issue()
		if err := f.storage.Delete(t.Context(), "session/"+lost.SessionID); err != nil {
			t.Fatal(err)
		}
		f.release(lost)
	}
	f.clock.Advance(time.Minute)
	f.maintain()
	sum := 0
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "not in the ledger") && strings.Contains(line, "[INFO]") {
			sum++
		}
	}
	if sum != 2 { // the first, and those that followed within a minute
		t.Errorf("the log has %d lines at info level, want 2", sum)
	}
	if line := lineWith(log, "leases=19"); line == "" {
		t.Error("the log holds no sum of those that followed")
	}
	line := lineWith(log, lost.SessionID)
	if !strings.Contains(line, "[DEBUG]") || !strings.Contains(line, f.server.URL()) {
		t.Errorf("the log says %q of the last one, want its ID and host", line)
	}
}
