package ledger_test

import (
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// A session is found as expired soon after it has expired, and never before.
func TestExpiryIndexTellsWhenASessionHasExpired(t *testing.T) {
	const soon = 10 * time.Minute
	l := ledger.New(storagetest.New())
	s := newSession("token")
	if err := l.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]int{-time.Second: 0, soon: 1} {
		buckets, err := l.ExpiredBuckets(t.Context(), s.ExpiresAt.Add(after))
		if err != nil || len(buckets) != want {
			t.Errorf("%s after the session expired: got %d buckets, %v; want %d", after, len(buckets), err, want)
		}
	}
	latest, err := l.LatestExpiry(t.Context())
	if late := latest.Sub(s.ExpiresAt); err != nil || late < 0 || late > soon {
		t.Errorf("latest expiry: got %s, %v; want %s or a little later", latest, err, s.ExpiresAt)
	}
}
