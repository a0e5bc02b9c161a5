package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// logBuffer keeps a log for a test.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: b, Level: hclog.Trace})
}

// forEveryWrite runs do again and again, with storage that fails one write later each time, until it does not fail.
func forEveryWrite(t *testing.T, do func(t *testing.T, f *fixture) (failed bool)) {
	t.Helper()
	for _, carriedOut := range []bool{false, true} {
		for n := 0; ; n++ {
			failed := false
			t.Run(fmt.Sprintf("write %d fails, carried out %t", n+1, carriedOut), func(t *testing.T) {
				f := newFixture(t)
				f.storage.Script(failingWrites(n, carriedOut))
				failed = do(t, f)
			})
			if !failed {
				if n == 0 {
					t.Error("nothing was written, so nothing was tested")
				}
				break
			}
		}
	}
}

func TestIssueLeaksNothingWhenStorageFails(t *testing.T) {
	forEveryWrite(t, func(t *testing.T, f *fixture) bool {
		lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
		f.storage.Script()
		if err == nil {
			f.release(lease)
			return false
		}
		if !errors.Is(err, storagetest.ErrBroken) {
			t.Errorf("got %v, want the storage error", err)
		}
		if stats := f.server.Stats(); stats.Started != 1 || stats.Alive != 0 {
			t.Errorf("sessions: got %+v, want the one that was started to be logged out", stats)
		}
		f.clock.Advance(2 * time.Hour)
		f.expire() // drops index entries that lead nowhere
		f.wantEmptyLedger()
		return true
	})
}

func TestIssueLeaksNothingWhenStorageAndLogoutFail(t *testing.T) {
	forEveryWrite(t, func(t *testing.T, f *fixture) bool {
		f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 503})
		lease, err := f.broker.Issue(t.Context(), f.storage, f.source)
		f.server.ClearFaults()
		f.clock.Advance(time.Minute)
		if err == nil {
			f.storage.Script()
			f.release(lease)
			return false
		}
		f.storage.Script(storagetest.ReadOnly)
		f.maintain() // as on a node that lost leadership: what is kept in memory stays there
		f.storage.Script()
		f.maintain()
		if stats := f.server.Stats(); stats.Alive != 0 {
			t.Errorf("sessions left at workfront after maintenance: got %+v, want none alive", stats)
		}
		f.clock.Advance(2 * time.Hour)
		f.expire()
		f.wantEmptyLedger()
		return true
	})
}

func TestUnreadableLedgerKeepsTheSessionForLater(t *testing.T) {
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("held by a lease %t", held), func(t *testing.T) {
			f := newFixture(t)
			f.behave(func(b *workfronttest.Behaviour) { b.SameSession = true })
			var first *session.Lease
			if held {
				first = f.issue()
			}
			f.storage.Script(readsFail)
			if _, err := f.broker.Issue(t.Context(), f.storage, f.source); !errors.Is(err, storagetest.ErrBroken) {
				t.Errorf("got %v, want the storage error", err)
			}
			f.storage.Script()
			f.maintain()
			if got := f.server.Stats().Alive == 1; got != held {
				t.Errorf("session alive: got %t, want %t", got, held)
			}
			if held {
				f.release(first)
				f.wantAlive(first, false)
			}
			f.wantEmptyLedger()
		})
	}
}

func TestReleaseReportsUnreadableStorage(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.storage.Script(readsFail)
	if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	f.storage.Script()
	f.release(lease)
	f.wantNothingLeft()
}

// Maintenance stores a release that storage did not take. Of the last lease, it ends the session as well, also if what
// the list of pages says is that others may be left.
func TestMaintenanceEndsASessionWithItsLastRelease(t *testing.T) {
	f := newFixture(t)
	f.source.Role, f.source.Shared = "r", true
	b := &books{}
	toRevokeTogether(f, b)
	last := b.revoked[0] // on one page with the next ones
	for _, lease := range b.revoked[1:] {
		f.release(lease)
	}
	f.broker = f.newBroker()
	f.storage.Script(readsFail)
	if err := f.broker.Release(t.Context(), f.storage, last.LeaseRef); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the storage error", err)
	}
	f.storage.Script()
	f.maintain()
	f.wantAlive(last, false)
	f.release(last) // as Vault repeats it
	f.wantNothingLeft()
}

// The reader leaves, and storage fails when the session is to be ended again.
func TestReaderLeavesAndStorageFails(t *testing.T) {
	f := newFixture(t)
	var log logBuffer
	f.broker = session.NewBroker(session.Options{Now: f.clock.Now, Logger: log.logger()})
	ctx, leave := context.WithCancel(t.Context())
	f.server.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			leave()
			f.storage.Script(writesFail(2)) // those that record the session
		}
	})
	f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	_, _ = f.broker.Issue(ctx, f.storage, f.source)
	await.That(t, "the log says so", func() bool { return containsAny(log.String(), "failed to release an undelivered lease") })
	f.storage.Script()
	f.server.ClearFaults()
	f.clock.Advance(2 * time.Hour)
	f.expire()
	f.maintain() // a write had failed, so the index of its expiry was left
	f.wantEmptyLedger()
}
