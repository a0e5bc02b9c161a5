package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// The ledger in storage:
//
//	session/<id>           the Record
//	lease/<id>/<lease>     a lease on it, besides the one in the Record
//	expiry/<bucket>/<id>   an index: the session ends within that bucket of time
//	parked/<id>            an index: the session is StateLogoutPending
//	current/<share>        a hint: the session that readers share there; it may be gone
//
// The indexes let the periodic job find what it has to do without reading what lives. An index entry is written
// before the Record that it leads to, and removed after it, so that no crash leaves a Record that cannot be found;
// an entry that leads nowhere is dropped when it is met.
const (
	sessionPrefix = "session/"
	leasePrefix   = "lease/"
	expiryPrefix  = "expiry/"
	parkedPrefix  = "parked/"
	currentPrefix = "current/"
)

// bucketSeconds is how much time one bucket of the expiry index covers.
const bucketSeconds = 600

// ledger reads and writes sessions in storage. It keeps nothing in memory and takes no locks: the Broker sees to
// it that one call at a time works on a session.
type ledger struct{ storage logical.Storage }

// get returns the session of that ID, or nil.
func (l ledger) get(ctx context.Context, id string) (*Record, error) {
	entry, err := l.storage.Get(ctx, sessionPrefix+id)
	if err != nil {
		return nil, fmt.Errorf("read session %s: %w", id, err)
	}
	if entry == nil {
		return nil, nil
	}
	var r Record
	if err := entry.DecodeJSON(&r); err != nil {
		return nil, fmt.Errorf("decode session %s: %w", id, err)
	}
	return &r, nil
}

// create writes a session that the ledger does not hold yet.
func (l ledger) create(ctx context.Context, r *Record) error {
	if err := l.mark(ctx, expiryKey(r.ID(), r.ExpiresAt)); err != nil {
		return err
	}
	return l.put(ctx, r)
}

// put writes a session anew. Its end must not have changed.
func (l ledger) put(ctx context.Context, r *Record) error {
	entry, err := logical.StorageEntryJSON(sessionPrefix+r.ID(), r)
	if err != nil {
		return fmt.Errorf("encode session %s: %w", r.ID(), err)
	}
	if err := l.storage.Put(ctx, entry); err != nil {
		return fmt.Errorf("write session %s: %w", r.ID(), err)
	}
	return nil
}

// remove deletes a session, its leases and its places in the indexes.
func (l ledger) remove(ctx context.Context, r *Record, leases leaseSet) error {
	id := r.ID()
	keys := make([]string, 0, len(leases)+3)
	for lease := range leases {
		if lease != r.Lease {
			keys = append(keys, leaseKey(id, lease))
		}
	}
	keys = append(keys, sessionPrefix+id, expiryKey(id, r.ExpiresAt))
	if r.State == StateLogoutPending {
		keys = append(keys, parkedPrefix+id)
	}
	return l.delete(ctx, keys...)
}

// park writes a session as one to be logged out, and deletes its leases. inRecord is the one that stood in the Record.
func (l ledger) park(ctx context.Context, r *Record, inRecord leaseID, leases leaseSet) error {
	if err := l.mark(ctx, parkedPrefix+r.ID()); err != nil {
		return err
	}
	if err := l.put(ctx, r); err != nil {
		return err
	}
	for lease := range leases {
		if lease != inRecord {
			if err := l.removeLease(ctx, r.ID(), lease); err != nil {
				return err
			}
		}
	}
	return nil
}

// leases returns all leases on a session.
func (l ledger) leases(ctx context.Context, r *Record) (leaseSet, error) {
	names, err := l.storage.List(ctx, leasePrefix+r.ID()+"/")
	if err != nil {
		return nil, fmt.Errorf("list leases of session %s: %w", r.ID(), err)
	}
	leases := make(leaseSet, len(names)+1)
	for _, name := range names {
		lease, err := parseLeaseID(name)
		if err != nil {
			return nil, fmt.Errorf("list leases of session %s: %w", r.ID(), err)
		}
		leases[lease] = struct{}{}
	}
	if r.Lease != (leaseID{}) {
		leases[r.Lease] = struct{}{}
	}
	return leases, nil
}

// addLease writes a lease besides the one in the Record.
func (l ledger) addLease(ctx context.Context, id string, lease leaseID) error {
	return l.mark(ctx, leaseKey(id, lease))
}

// removeLease deletes a lease besides the one in the Record. It need not exist.
func (l ledger) removeLease(ctx context.Context, id string, lease leaseID) error {
	return l.delete(ctx, leaseKey(id, lease))
}

// shared is the session that the readers of a share were last given.
type shared struct {
	Version   int    `json:"version"`
	SessionID string `json:"session_id"`
	Source    string `json:"source"` // the Fingerprint of what it was made from
}

// current returns what is shared there; it is empty if that is not known.
func (l ledger) current(ctx context.Context, share string) (shared, error) {
	entry, err := l.storage.Get(ctx, currentPrefix+share)
	if err != nil {
		return shared{}, fmt.Errorf("read current session: %w", err)
	}
	if entry == nil {
		return shared{}, nil
	}
	var s shared
	if err := entry.DecodeJSON(&s); err != nil {
		return shared{}, fmt.Errorf("decode current session: %w", err)
	}
	return s, nil
}

func (l ledger) setCurrent(ctx context.Context, share string, s shared) error {
	s.Version = recordVersion
	entry, err := logical.StorageEntryJSON(currentPrefix+share, s)
	if err != nil {
		return fmt.Errorf("encode current session: %w", err)
	}
	if err := l.storage.Put(ctx, entry); err != nil {
		return fmt.Errorf("write current session: %w", err)
	}
	return nil
}

// endedBuckets returns the buckets of the expiry index that lie in the past.
func (l ledger) endedBuckets(ctx context.Context, now time.Time) ([]string, error) {
	buckets, err := l.list(ctx, expiryPrefix)
	if err != nil {
		return nil, err
	}
	var ended []string
	for _, b := range buckets {
		name := strings.TrimSuffix(b, "/")
		n, err := strconv.ParseInt(name, 10, 64)
		if err == nil && (n+1)*bucketSeconds <= now.Unix() {
			ended = append(ended, name)
		}
	}
	return ended, nil
}

// latestEnd returns a time by which all sessions end by themselves: the end of the last bucket of the expiry index.
func (l ledger) latestEnd(ctx context.Context) (time.Time, error) {
	buckets, err := l.list(ctx, expiryPrefix)
	var latest time.Time
	for _, b := range buckets {
		n, err := strconv.ParseInt(strings.TrimSuffix(b, "/"), 10, 64)
		if end := time.Unix((n+1)*bucketSeconds, 0); err == nil && end.After(latest) {
			latest = end
		}
	}
	return latest, err
}

func (l ledger) list(ctx context.Context, prefix string) ([]string, error) {
	names, err := l.storage.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return names, nil
}

// mark writes an entry whose key says it all.
func (l ledger) mark(ctx context.Context, key string) error {
	if err := l.storage.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte("{}")}); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func (l ledger) delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := l.storage.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

func leaseKey(id string, lease leaseID) string { return leasePrefix + id + "/" + lease.String() }

func expiryKey(id string, expiresAt time.Time) string {
	return expiryPrefix + bucketOf(expiresAt) + "/" + id
}

func bucketOf(t time.Time) string { return strconv.FormatInt(t.Unix()/bucketSeconds, 10) }
