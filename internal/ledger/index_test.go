package ledger_test

import (
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

// wantIndexed checks that the expiry index leads to all that storage holds of sessions: by the time the last of the buckets
// that name it is in the past, at least one of them is not before its expiry.
func wantIndexed(t *testing.T, storage logical.Storage) {
	t.Helper()
	v := ledger.New().In(storage)
	found := make(map[string][]ledger.Bucket)
	for _, b := range must(v.ExpiredBuckets(t.Context(), start.Add(1000*time.Hour))) {
		for _, id := range must(v.InBucket(t.Context(), b)) {
			found[id] = append(found[id], b)
		}
	}
	for _, key := range must(logical.CollectKeys(t.Context(), storage)) {
		folder, rest, _ := strings.Cut(key, "/")
		id, _, _ := strings.Cut(rest, "/")
		switch {
		case folder != "session" && folder != "lease":
		case len(found[id]) == 0:
			t.Errorf("%s is not found by the expiry index", key)
		case folder == "session":
			s := must(v.Get(t.Context(), id))
			if !slices.ContainsFunc(found[id], func(b ledger.Bucket) bool { return b.Covers(s) }) {
				t.Errorf("%s expires at %s, and is not in that bucket: %v", key, s.ExpiresAt, found[id])
			}
		}
	}
}

// A session is found as expired soon after it has expired, and never before.
func TestExpiryIndex(t *testing.T) {
	m := newMount(t)
	s := newSession("a")
	m.record(s)
	for after, want := range map[time.Duration]int{-time.Second: 0, soon: 1} {
		buckets, err := m.ExpiredBuckets(t.Context(), s.ExpiresAt.Add(after))
		if err != nil || len(buckets) != want {
			t.Errorf("%s after the session expired: got %d buckets, %v; want %d", after, len(buckets), err, want)
		}
	}
	latest, err := m.LatestExpiry(t.Context())
	if late := latest.Sub(s.ExpiresAt); err != nil || late < 0 || late > soon {
		t.Errorf("latest expiry: got %s, %v; want %s or a little later", latest, err, s.ExpiresAt)
	}
}

// Each operation breaks at each of its writes. Index entries are written first and removed last, so no session and no
// lease is ever stored that cannot be found; and what the operation was to remove is gone once it is repeated.
func TestIndexEntriesAreWrittenFirstAndRemovedLast(t *testing.T) {
	s := newSession("a")
	later := changed(s, func(s *ledger.Session) { s.ExpiresAt = s.ExpiresAt.Add(time.Hour) })
	pend := func(m *mount) {
		m.hold(s.ID(), func(h *ledger.Held) {
			must(h.BeginEnd(t.Context(), ledger.End{Regardless: true}))
			m.ok(h.SetPending(t.Context(), start, false))
		})
	}
	held := func(do func(h *ledger.Held) error) func(m *mount) error {
		return func(m *mount) error {
			h, err := m.Hold(t.Context(), s.ID())
			if err != nil {
				return err
			}
			defer h.Release()
			return do(h)
		}
	}
	begin := func(how ledger.End) func(m *mount) error {
		return held(func(h *ledger.Held) error { _, err := h.BeginEnd(t.Context(), how); return err })
	}
	remove := held(func(h *ledger.Held) error {
		if h.Session() == nil {
			return nil
		}
		return h.Remove(t.Context())
	})
	for name, tt := range map[string]struct {
		before  *ledger.Session
		prepare func(m *mount)
		do      func(m *mount) error
		removes bool
	}{
		"record":          {nil, nil, held(func(h *ledger.Held) error { return h.Record(t.Context(), s) }), false},
		"a later expiry":  {s, nil, held(func(h *ledger.Held) error { return h.Record(t.Context(), later) }), false},
		"an earlier one":  {later, nil, held(func(h *ledger.Held) error { return h.Record(t.Context(), s) }), false},
		"active again":    {s, pend, held(func(h *ledger.Held) error { return h.Record(t.Context(), later) }), false},
		"attach":          {s, nil, func(m *mount) error { _, _, err := m.Attach(t.Context(), s.ID(), anySession); return err }, false},
		"gone":            {s, nil, held(func(h *ledger.Held) error { return h.SetGone(t.Context()) }), false},
		"begin end":       {s, nil, begin(ledger.End{Regardless: true}), false},
		"begin end, owed": {s, nil, begin(ledger.End{Regardless: true, Owed: true}), false},
		"pending":         {s, nil, held(func(h *ledger.Held) error { return h.SetPending(t.Context(), start, true) }), false},
		"pending, not stored": {nil, nil, held(func(h *ledger.Held) error {
			h.Adopt(s)
			return h.SetPending(t.Context(), start, true)
		}), false},
		"remove":            {s, nil, remove, true},
		"remove pending":    {s, pend, remove, true},
		"remove unreadable": {s, nil, func(m *mount) error { return m.RemoveUnreadable(t.Context(), s.ID()) }, true},
	} {
		for _, d := range storagetest.Breakdowns {
			if d.Dies {
				continue // nothing here outlives its process but storage, which has failed then
			}
			for n, broke := 0, true; broke; n++ {
				broke = false // else a case that ends early is repeated without end
				t.Run(fmt.Sprintf("%s, %s at write %d", name, d.Name, n+1), func(t *testing.T) {
					m := newMount(t)
					m.Keep(s.ID())
					if tt.before != nil {
						m.record(tt.before)
						m.attach(s.ID())
					}
					if tt.prepare != nil {
						tt.prepare(m)
					}
					breaking := d.At(n, m.storage)
					err := tt.do(m.over(breaking.Storage))
					if broke = breaking.Broke(); !broke && n == 0 {
						t.Error("nothing was written, so nothing was tested")
					}
					if err != nil && !errors.Is(err, storagetest.ErrBroken) {
						t.Errorf("got error %v", err)
					}
					wantIndexed(t, m.storage)
					stored := must(m.Get(t.Context(), s.ID()))
					if stored != nil && !stored.PendingSince.IsZero() && len(m.keys("pending/")) == 0 {
						t.Error("not in the index of pending logouts")
					}
					if err == nil && broke && len(m.keys("expiry/", "pending/")) == 0 && !d.Applied {
						t.Error("a write that failed is neither an error nor an index entry that is left")
					}
					if !tt.removes {
						return
					}
					m.ok(tt.do(m))
					wantIndexed(t, m.storage)
					if left := m.keys("session/", "lease/"); len(left) != 0 {
						t.Errorf("left after a repetition: %v", left)
					}
					m.Drop(s.ID())
					m.sweep(start.Add(1000 * time.Hour))
					m.wantEmpty("pending/")
				})
			}
		}
	}
}
