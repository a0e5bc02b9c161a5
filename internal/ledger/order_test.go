package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
)

var errWrite = errors.New("storage is broken")

// failingWrites fails one write, or all from there on. It may carry out what it fails.
type failingWrites struct {
	logical.Storage
	left     int
	once     bool
	applied  bool
	failures int
}

func (s *failingWrites) write(do func() error) error {
	s.left--
	if s.left >= 0 || s.once && s.failures > 0 {
		return do()
	}
	s.failures++
	if s.applied {
		if err := do(); err != nil {
			return err
		}
	}
	return errWrite
}

func (s *failingWrites) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.write(func() error { return s.Storage.Put(ctx, e) })
}

func (s *failingWrites) Delete(ctx context.Context, key string) error {
	return s.write(func() error { return s.Storage.Delete(ctx, key) })
}

var start = time.Unix(1_800_000_000, 0).UTC()

func newSession(token string) *ledger.Session {
	return ledger.NewSession(ledger.Session{
		Token: token, Endpoint: ledger.Endpoint{BaseURL: "https://acme.my.workfront.com"},
		IssuedAt: start, ExpiresAt: start.Add(time.Hour), Stated: true, Lease: ledger.NewLeaseID(),
	})
}

func changed(s *ledger.Session, change func(*ledger.Session)) *ledger.Session {
	c := *s
	change(&c)
	return &c
}

func pend(s *ledger.Session) {
	s.State, s.PendingSince, s.Lease = ledger.StateLogoutPending, start, ledger.LeaseID{}
}

// wantIndexed checks the rule of the ledger: whatever session storage holds is found by the index of its expiry, and, if its
// logout is pending, by that of pending logouts.
func wantIndexed(t *testing.T, storage logical.Storage) {
	t.Helper()
	l := ledger.New(storage)
	ids, err := l.IDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		s, err := l.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		buckets, err := l.ExpiredBuckets(t.Context(), s.ExpiresAt.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, b := range buckets {
			in, err := l.InBucket(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			found = found || b.Holds(s) && slices.Contains(in, id)
		}
		if !found {
			t.Errorf("session %s (%s): not in the index of its expiry", id, s.State)
		}
		pending, err := l.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.State == ledger.StateLogoutPending && !slices.Contains(pending, id) {
			t.Errorf("session %s: not in the index of pending logouts", id)
		}
	}
}

// Each operation fails at each of its writes. An index entry is written before the session that it leads to, and removed after
// it, so that no session is ever stored that cannot be found.
func TestIndexEntriesAreWrittenFirstAndRemovedLast(t *testing.T) {
	known, another := newSession("known"), ledger.NewLeaseID()
	pending := changed(known, pend)
	leases := ledger.LeaseSet{known.Lease: {}, another: {}}
	later := changed(known, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(time.Hour) })
	tests := []struct {
		name   string
		stored *ledger.Session // before
		do     func(ctx context.Context, l ledger.Ledger) error
	}{
		{"create", nil, func(ctx context.Context, l ledger.Ledger) error { return l.Create(ctx, known) }},
		{"a new expiry, and a lease", known, func(ctx context.Context, l ledger.Ledger) error {
			return l.Update(ctx, known, later, another)
		}},
		{"an earlier expiry", later, func(ctx context.Context, l ledger.Ledger) error {
			return l.Update(ctx, later, known, ledger.LeaseID{})
		}},
		{"logout pending", known, func(ctx context.Context, l ledger.Ledger) error {
			return l.SetPending(ctx, known, pending, leases)
		}},
		{"logout pending of one not stored", nil, func(ctx context.Context, l ledger.Ledger) error {
			return l.SetPending(ctx, nil, pending, nil)
		}},
		{"live again", pending, func(ctx context.Context, l ledger.Ledger) error {
			return l.Update(ctx, pending, known, another)
		}},
		{"remove", known, func(ctx context.Context, l ledger.Ledger) error { return l.Remove(ctx, known, leases) }},
		{"remove with its logout pending", pending, func(ctx context.Context, l ledger.Ledger) error {
			return l.Remove(ctx, pending, leases)
		}},
		{"remove unreadable", known, func(ctx context.Context, l ledger.Ledger) error {
			return l.RemoveUnreadable(ctx, known.ID())
		}},
	}
	for _, tt := range tests {
		for mode := range 4 {
			for n, broke := 0, true; broke; n++ {
				storage := &failingWrites{left: n, once: mode&1 != 0, applied: mode&2 != 0}
				name := fmt.Sprintf("%s, write %d fails, once %t, carried out %t", tt.name, n+1, storage.once, storage.applied)
				t.Run(name, func(t *testing.T) {
					healthy := &logical.InmemStorage{}
					storage.Storage = healthy
					if tt.stored != nil {
						if err := ledger.New(healthy).Update(t.Context(), nil, tt.stored, another); err != nil {
							t.Fatal(err)
						}
					}
					err := tt.do(t.Context(), ledger.New(storage))
					if broke = storage.failures > 0; !broke && n == 0 {
						t.Error("nothing was written, so nothing was tested")
					}
					if err != nil && !errors.Is(err, errWrite) || err == nil && broke && !hasStaleIndex(t, healthy, storage.applied) {
						t.Errorf("got error %v", err)
					}
					wantIndexed(t, healthy)
				})
			}
		}
	}
}

// hasStaleIndex tells whether an index entry is left that leads nowhere: the one failure that is no error, because it is dropped
// when it is met. If the deletion was carried out all the same, there is none.
func hasStaleIndex(t *testing.T, storage logical.Storage, applied bool) bool {
	t.Helper()
	keys, err := logical.CollectKeys(t.Context(), storage)
	if err != nil {
		t.Fatal(err)
	}
	sessions, entries := 0, 0
	for _, key := range keys {
		switch {
		case strings.HasPrefix(key, "session/"):
			sessions++
		case strings.HasPrefix(key, "expiry/"), strings.HasPrefix(key, "parked/"):
			entries++
		}
	}
	return applied || entries > sessions
}

// What an operation leaves behind, if nothing fails.
func TestRemoveLeavesNothing(t *testing.T) {
	storage := &logical.InmemStorage{}
	l := ledger.New(storage)
	s, another := newSession("a"), ledger.NewLeaseID()
	if err := l.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	updated := changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(24 * time.Hour) })
	if err := l.Update(t.Context(), s, updated, another); err != nil {
		t.Fatal(err)
	}
	leases, err := l.Leases(t.Context(), updated)
	if _, on := leases[another]; err != nil || len(leases) != 2 || !on {
		t.Errorf("leases: got %v, %v; want that in the session, and the other one", leases, err)
	}
	pending := changed(updated, pend)
	if err := l.SetPending(t.Context(), updated, pending, leases); err != nil {
		t.Fatal(err)
	}
	if leases, err := l.Leases(t.Context(), pending); err != nil || len(leases) != 0 {
		t.Errorf("leases of a session whose logout is pending: got %v, %v; want none", leases, err)
	}
	if err := l.Remove(t.Context(), pending, leases); err != nil {
		t.Fatal(err)
	}
	if keys, err := logical.CollectKeys(t.Context(), storage); err != nil || len(keys) != 0 {
		t.Errorf("left in storage: %v, %v", keys, err)
	}
}

// What cannot be read is told apart: damaged, or written by a newer version of the plugin.
func TestUnreadableEntries(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		newer       bool
	}{
		{"no JSON", "no json", false},
		{"a field of another type", `{"version":1,"token":7,"session_id":7}`, false},
		{"newer", `{"version":2,"token":7,"session_id":7}`, true},
	} {
		for _, key := range []string{"session/x", "current/roles/x"} {
			t.Run(tt.name+" "+key, func(t *testing.T) {
				storage := &logical.InmemStorage{}
				if err := storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(tt.value)}); err != nil {
					t.Fatal(err)
				}
				l := ledger.New(storage)
				_, err := l.Get(t.Context(), "x")
				if strings.HasPrefix(key, "current/") {
					_, err = l.Shared(t.Context(), "roles/x")
				}
				var damaged *ledger.DamagedError
				var newer *ledger.NewerError
				if errors.As(err, &newer) != tt.newer || errors.As(err, &damaged) == tt.newer {
					t.Fatalf("got %v", err)
				}
				if !strings.Contains(err.Error(), key) {
					t.Errorf("the error does not name the entry: %v", err)
				}
			})
		}
	}
}

// An entry that version 1 of the plugin has stored.
func TestReadVersion1(t *testing.T) {
	const stored = `{"version":1,"token":"t","token_type":"sessionID","endpoint":{"base_url":"https://acme.my.workfront.com",` +
		`"api_version":"v22.0"},"user_id":"u","issued_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T01:00:00Z","stated":true,` +
		`"state":"logout_pending","lease":"000102030405060708090a0b0c0d0e0f","parked_at":"2026-01-01T00:30:00Z"}`
	storage := &logical.InmemStorage{}
	if err := storage.Put(t.Context(), &logical.StorageEntry{Key: "session/x", Value: []byte(stored)}); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.New(storage).Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	issued := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	want := ledger.Session{
		Version: 1, Token: "t", TokenType: "sessionID", UserID: "u", Stated: true, State: ledger.StateLogoutPending,
		Endpoint: ledger.Endpoint{BaseURL: "https://acme.my.workfront.com", APIVersion: "v22.0"},
		IssuedAt: issued, ExpiresAt: issued.Add(time.Hour), PendingSince: issued.Add(30 * time.Minute),
		Lease: ledger.LeaseID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	}
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}
