package ledger

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// bucketSeconds is how much time one bucket of the expiry index covers.
const bucketSeconds = 600

// Bucket is a span of time in the expiry index.
type Bucket struct{ name string }

// ExpiredBuckets returns the buckets that lie in the past.
func (v View) ExpiredBuckets(ctx context.Context, now time.Time) ([]Bucket, error) {
	names, err := v.store.list(ctx, expiryPrefix)
	if err != nil {
		return nil, err
	}
	var expired []Bucket
	for _, name := range names {
		b := Bucket{strings.TrimSuffix(name, "/")}
		if end, ok := b.end(); ok && !now.Before(end) {
			expired = append(expired, b)
		}
	}
	return expired, nil
}

// LatestExpiry returns a time by which all sessions have expired: the end of the last bucket. It reads no session.
func (v View) LatestExpiry(ctx context.Context) (time.Time, error) {
	names, err := v.store.list(ctx, expiryPrefix)
	var latest time.Time
	for _, name := range names {
		if end, ok := (Bucket{strings.TrimSuffix(name, "/")}).end(); ok && end.After(latest) {
			latest = end
		}
	}
	return latest, err
}

// InBucket returns the IDs of the sessions that an expiry bucket leads to.
func (v View) InBucket(ctx context.Context, b Bucket) ([]string, error) {
	return v.store.list(ctx, expiryPrefix+b.name+"/")
}

// Covers reports whether s expires within the bucket, or before.
func (b Bucket) Covers(s *Session) bool {
	end, _ := b.end()
	return s.ExpiresAt.Before(end)
}

// DropExpiry deletes an entry of the expiry index that leads nowhere.
func (v View) DropExpiry(ctx context.Context, b Bucket, id string) error {
	return v.store.delete(ctx, expiryPrefix+b.name+"/"+id)
}

// Pending returns the IDs of the sessions whose logout is pending.
func (v View) Pending(ctx context.Context) ([]string, error) { return v.store.list(ctx, pendingPrefix) }

// end returns when the bucket ends; ok is false for a name that is none.
func (b Bucket) end() (end time.Time, ok bool) {
	n, err := strconv.ParseInt(b.name, 10, 64)
	return time.Unix((n+1)*bucketSeconds, 0), err == nil
}

func expiryKey(id string, expiresAt time.Time) string {
	return expiryPrefix + bucketOf(expiresAt) + "/" + id
}

func bucketOf(t time.Time) string { return strconv.FormatInt(t.Unix()/bucketSeconds, 10) }
