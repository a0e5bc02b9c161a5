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
	"vault-plugin-secrets-workfront/internal/storagetest"
)

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
	leases := ledger.Leases{Own: []ledger.LeaseID{known.Lease, another}}
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
			return l.SetPending(ctx, nil, pending, ledger.Leases{})
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
		for _, d := range storagetest.Breakdowns {
			if d.Dies {
				continue // nothing here outlives its process but storage, which has failed then
			}
			for n, broke := 0, true; broke; n++ {
				broke = false // else a row that ends early is repeated without end
				t.Run(fmt.Sprintf("%s, %s at write %d", tt.name, d.Name, n+1), func(t *testing.T) {
					healthy := storagetest.New()
					if tt.stored != nil {
						if err := ledger.New(healthy).Update(t.Context(), nil, tt.stored, another); err != nil {
							t.Fatal(err)
						}
					}
					storage := d.At(n, healthy)
					err := tt.do(t.Context(), ledger.New(storage))
					if broke = storage.Broke(); !broke && n == 0 {
						t.Error("nothing was written, so nothing was tested")
					}
					// A deletion that was carried out all the same leaves nothing.
					stale := d.Applied || hasStaleIndex(t, healthy)
					if err != nil && !errors.Is(err, storagetest.ErrBroken) || err == nil && broke && !stale {
						t.Errorf("got error %v", err)
					}
					wantIndexed(t, healthy)
				})
			}
		}
	}
}

// hasStaleIndex tells whether an index entry is left that leads nowhere: the one failure that is no error, because it is
// dropped when it is met.
func hasStaleIndex(t *testing.T, storage *storagetest.Storage) bool {
	t.Helper()
	sessions, entries := 0, 0
	for _, key := range storage.Keys(t) {
		switch {
		case strings.HasPrefix(key, "session/"):
			sessions++
		case strings.HasPrefix(key, "expiry/"), strings.HasPrefix(key, "parked/"):
			entries++
		}
	}
	return entries > sessions
}

// What an operation leaves behind, if nothing fails.
func TestRemoveLeavesNothing(t *testing.T) {
	storage := storagetest.New()
	l := ledger.New(storage)
	s, another := newSession("a"), ledger.NewLeaseID()
	if err := l.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	updated := changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(24 * time.Hour) })
	if err := l.Update(t.Context(), s, updated, another); err != nil {
		t.Fatal(err)
	}
	page := ledger.NewPageID()
	if err := l.SetPage(t.Context(), s.ID(), page, []ledger.LeaseID{ledger.NewLeaseID(), ledger.NewLeaseID()}); err != nil {
		t.Fatal(err)
	}
	leases, err := l.Leases(t.Context(), updated)
	if err != nil || len(leases.Own) != 2 || !slices.Contains(leases.Own, another) || !slices.Equal(leases.Pages, []ledger.PageID{page}) {
		t.Errorf("leases: got %v, %v; want that in the session, the other one, and a page", leases, err)
	}
	pending := changed(updated, pend)
	if err := l.SetPending(t.Context(), updated, pending, leases); err != nil {
		t.Fatal(err)
	}
	if leases, err := l.Leases(t.Context(), pending); err != nil || len(leases.Own)+len(leases.Pages) != 0 {
		t.Errorf("leases of a session whose logout is pending: got %v, %v; want none", leases, err)
	}
	if err := l.Remove(t.Context(), pending, leases); err != nil {
		t.Fatal(err)
	}
	if keys := storage.Keys(t); len(keys) != 0 {
		t.Errorf("left in storage: %v", keys)
	}
}

// A page holds what it was given last, and is gone with its last lease, or with its session.
func TestPages(t *testing.T) {
	storage := storagetest.New()
	l, s := ledger.New(storage), newSession("a").WithPages()
	if !s.MayHavePages() || newSession("a").MayHavePages() || s.ID() != newSession("a").ID() {
		t.Error("pages are not allowed where they should be, or the other way round")
	}
	if err := l.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	page, leases := ledger.NewPageID(), []ledger.LeaseID{ledger.NewLeaseID(), ledger.NewLeaseID()}
	for n := 2; n >= 0; n-- {
		if err := l.SetPage(t.Context(), s.ID(), page, leases[:n]); err != nil {
			t.Fatal(err)
		}
		got, err := l.Page(t.Context(), s.ID(), page)
		if err != nil || !slices.Equal(got, leases[:n]) {
			t.Errorf("page: got %v, %v; want %v", got, err, leases[:n])
		}
		listed, err := l.Leases(t.Context(), s)
		if err != nil || len(listed.Pages) != min(n, 1) || len(listed.Own) != 1 {
			t.Errorf("with %d leases: got %v, %v", n, listed, err)
		}
	}
	for _, remove := range []func() error{
		func() error { return l.Remove(t.Context(), s, ledger.Leases{Pages: []ledger.PageID{page}}) },
		func() error {
			return errors.Join(l.RemoveUnreadable(t.Context(), s.ID()), l.Remove(t.Context(), s, ledger.Leases{}))
		},
	} {
		if err := errors.Join(l.Create(t.Context(), s), l.SetPage(t.Context(), s.ID(), page, leases)); err != nil {
			t.Fatal(err)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		if keys := storage.Keys(t); len(keys) != 0 {
			t.Errorf("left in storage: %v", keys)
		}
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
		{"newer", `{"version":3,"token":7,"session_id":7}`, true},
	} {
		for _, key := range []string{"session/x", "current/roles/x"} {
			t.Run(tt.name+" "+key, func(t *testing.T) {
				storage := storagetest.New()
				storage.Set(t, key, tt.value)
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
	storage := storagetest.New()
	storage.Set(t, "session/x", stored)
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
