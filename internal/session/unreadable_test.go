package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
)

const (
	damagedEntry = "no json"
	newerEntry   = `{"version": 4, "sessions": ["of another form"]}`
)

// A hint that cannot be read costs a session that is started anew, and nothing else.
func TestUnreadableHintIsDropped(t *testing.T) {
	for name, entry := range map[string]string{"damaged": damagedEntry, "newer": newerEntry} {
		t.Run(name, func(t *testing.T) {
			f := newSharedFixture(t)
			log := f.logged()
			f.storage.Set(t, "shared/roles/r", entry)
			lease := f.issue()
			f.wantAlive(lease, true)
			if line := lineWith(log, "unreadable hint"); !strings.Contains(line, "[WARN]") {
				t.Errorf("the log says %q", line)
			}
			f.storage.Set(t, "shared/roles/r", entry)
			f.release(lease)
			if err := f.broker.Unshare(t.Context(), f.storage, "r"); err != nil {
				t.Errorf("end of sharing: %v", err)
			}
			f.wantEmptyLedger()
		})
	}
}

// A hint at a session that cannot be read is one at a session that is gone.
func TestHintAtAnUnreadableSession(t *testing.T) {
	for name, entry := range map[string]string{"damaged": damagedEntry, "newer": newerEntry} {
		t.Run(name, func(t *testing.T) {
			f := newSharedFixture(t)
			first := f.issue()
			f.storage.Set(t, "session/"+first.SessionID, entry)
			f.broker = f.newBroker()
			f.wantAlive(f.issue(), true)
			f.wantExchanges(2)
		})
	}
}

func TestUnreadableSession(t *testing.T) {
	t.Run("a lease on a damaged one can be revoked", func(t *testing.T) {
		f := newFixture(t)
		log := f.logged()
		lease := f.issue()
		f.storage.Set(t, "session/"+lease.SessionID, damagedEntry)
		f.release(lease)
		if line := lineWith(log, "damaged"); !strings.Contains(line, "[ERROR]") || !strings.Contains(line, lease.SessionID) {
			t.Errorf("the log says %q", line)
		}
	})
	t.Run("a lease on a newer one cannot", func(t *testing.T) {
		f := newFixture(t)
		lease := f.issue()
		f.storage.Set(t, "session/"+lease.SessionID, newerEntry)
		err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef)
		if !isA[*ledger.NewerError](err) || !containsAny(err.Error(), "install that plugin version again") {
			t.Errorf("got %v, want an error that says what to do", err)
		}
		f.wantStored("session/"+lease.SessionID, newerEntry)
	})
	for name, entry := range map[string]string{"damaged": damagedEntry, "newer": newerEntry} {
		t.Run("its owner can delete a "+name+" one", func(t *testing.T) {
			f := newSharedFixture(t)
			log := f.logged()
			leases := []*session.Lease{f.issue(), f.issue()}
			f.storage.Set(t, "session/"+leases[0].SessionID, entry)
			f.storage.Set(t, "pending/"+leases[0].SessionID, "{}")
			f.broker.Invalidate("session/" + leases[0].SessionID)
			unreadable, err := f.broker.Terminate(t.Context(), f.storage, leases[0].SessionID)
			if !unreadable || err != nil {
				t.Errorf("got unreadable %t, %v; want true", unreadable, err)
			}
			if line := lineWith(log, "can no longer be logged out"); !strings.Contains(line, "[WARN]") {
				t.Errorf("the log says %q", line)
			}
			for _, lease := range leases {
				f.release(lease)
			}
			f.clock.Advance(2 * time.Hour)
			f.expire() // drops the index entry that leads nowhere
			f.wantOnlyCurrent()
		})
		t.Run("maintenance leaves a "+name+" one alone", func(t *testing.T) {
			f := newFixture(t)
			other, lease := f.issue(), f.issue()
			f.storage.Set(t, "session/"+lease.SessionID, entry)
			f.clock.Advance(2 * time.Hour)
			f.expire()
			f.wantState(other, "")
			f.wantStored("session/"+lease.SessionID, entry)
		})
		t.Run("unloading a tainted mount says that a "+name+" one remains", func(t *testing.T) {
			f := newFixture(t)
			log := f.logged()
			other, lease := f.issue(), f.issue()
			f.storage.Set(t, "session/"+lease.SessionID, entry)
			f.broker.Close(t.Context(), f.storage, true)
			f.wantAlive(other, false)
			if line := lineWith(log, disabled); !strings.Contains(line, "sessions=1") {
				t.Errorf("the log says %q", line)
			}
		})
	}
	t.Run("reading it is an error", func(t *testing.T) {
		f := newFixture(t)
		f.storage.Set(t, "session/a", damagedEntry)
		f.storage.Set(t, "session/b", newerEntry)
		if _, err := f.broker.Session(t.Context(), f.storage, "a"); !isA[*ledger.DamagedError](err) {
			t.Errorf("damaged: got %v", err)
		}
		var newer *ledger.NewerError
		if _, err := f.broker.Session(t.Context(), f.storage, "b"); !errors.As(err, &newer) || newer.Version != 4 {
			t.Errorf("newer: got %v", err)
		}
	})
}

// wantStored checks an entry in storage.
func (f *fixture) wantStored(key, want string) {
	f.t.Helper()
	if got := f.storage.Value(f.t, key); got != want {
		f.t.Errorf("entry %s: got %q, want it as it was", key, got)
	}
}
