// Package ledger stores the sessions that a mount has started, and the leases on them.
//
// In storage:
//
//	session/<id>           the Session
//	lease/<id>/<lease>     a lease on it, besides the one in the Session
//	lease/<id>/page-<page> several leases on it, if the Session allows that
//	expiry/<bucket>/<id>   an index: the session expires within that span of time
//	parked/<id>            an index: the logout of the session is pending
//	current/<share>        a hint: the session that readers share there; it may be gone
//	trust/<SHA-256>        CA certificates that sessions pin; never removed
//
// The indexes let maintenance find what it has to do without reading what lives. This package owns the order of all
// writes, and the rule behind it: an index entry is written before the Session that it leads to, and removed after it.
// So a crash never leaves a Session that cannot be found. An index entry that leads nowhere is dropped when it is met.
//
// The package keeps nothing in memory and takes no locks: its caller sees to it that one call at a time changes a
// session. Its leases may be added and removed concurrently, as long as one call at a time writes a page.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

const (
	sessionPrefix = "session/"
	leasePrefix   = "lease/"
	expiryPrefix  = "expiry/"
	pendingPrefix = "parked/" // the name in storage is older than the word for it
	sharedPrefix  = "current/"
	// probeKey is written to prove that storage can be written.
	probeKey = "maintenance"
)

// Ledger reads and writes the sessions of one mount.
type Ledger struct{ storage logical.Storage }

// New returns the Ledger in storage.
func New(storage logical.Storage) Ledger { return Ledger{storage} }

// Storage returns where the ledger is kept.
func (l Ledger) Storage() logical.Storage { return l.storage }

// Get returns the session of that ID, or nil if the ledger does not hold it. The error is a *DamagedError, a
// *NewerError or a failure of storage.
func (l Ledger) Get(ctx context.Context, id string) (*Session, error) {
	return read[Session](ctx, l.storage, sessionPrefix+id)
}

// Create stores a session that the ledger does not hold yet.
func (l Ledger) Create(ctx context.Context, s *Session) error {
	return l.Update(ctx, nil, s, LeaseID{})
}

// Update replaces known by updated, which is the same session, and adds a lease to it unless lease is zero. known may be
// nil: then the session is new. After an error, storage may hold any of the two, with or without the lease.
func (l Ledger) Update(ctx context.Context, known, updated *Session, lease LeaseID) error {
	for _, key := range updated.indexKeys() {
		if !known.indexed(key) {
			if err := l.mark(ctx, key); err != nil {
				return err
			}
		}
	}
	if !lease.IsZero() {
		if err := l.AddLease(ctx, updated.ID(), lease); err != nil {
			return err
		}
	}
	if known != nil && *known == *updated {
		return nil
	}
	if err := write(ctx, l.storage, sessionPrefix+updated.ID(), updated); err != nil {
		return err
	}
	if known != nil {
		for _, key := range known.indexKeys() {
			if !updated.indexed(key) {
				_ = l.delete(ctx, key) // else it leads nowhere, and is dropped when it is met
			}
		}
	}
	return nil
}

// SetPending replaces known, which is nil if the ledger does not hold the session yet, by the same session with its logout
// pending, and removes its leases. After an error the session may be pending or not, with any of its leases.
func (l Ledger) SetPending(ctx context.Context, known, pending *Session, leases Leases) error {
	if err := l.Update(ctx, known, pending, LeaseID{}); err != nil || known == nil {
		return err
	}
	return l.delete(ctx, leaseKeys(known, leases)...)
}

// Remove deletes a session, its leases, and its index entries. After an error it can be repeated.
func (l Ledger) Remove(ctx context.Context, s *Session, leases Leases) error {
	keys := append(leaseKeys(s, leases), sessionPrefix+s.ID())
	return l.delete(ctx, append(keys, s.indexKeys()...)...)
}

// RemoveUnreadable deletes what is known of a session whose entry cannot be read: leases, entry, and index entries as
// far as its ID leads to them.
func (l Ledger) RemoveUnreadable(ctx context.Context, id string) error {
	names, err := l.list(ctx, leasePrefix+id+"/")
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(names)+2)
	for _, name := range names {
		keys = append(keys, leasePrefix+id+"/"+name)
	}
	return l.delete(ctx, append(keys, sessionPrefix+id, pendingPrefix+id)...)
}

// IDs returns the IDs of all sessions, in no particular order. It reads none of them.
func (l Ledger) IDs(ctx context.Context) ([]string, error) { return l.list(ctx, sessionPrefix) }

// ProveWritable writes an entry that says nothing. Without an error, this node could write to storage just now.
func (l Ledger) ProveWritable(ctx context.Context) error { return l.mark(ctx, probeKey) }

// IDOf returns the ID of the session that a storage key belongs to, or "".
func IDOf(key string) string {
	for _, prefix := range []string{sessionPrefix, leasePrefix} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			id, _, _ := strings.Cut(rest, "/")
			return id
		}
	}
	return ""
}

// leaseKeys returns the keys of the leases and pages that have entries of their own.
func leaseKeys(s *Session, leases Leases) []string {
	keys := make([]string, 0, len(leases.Own)+len(leases.Pages)+4)
	for _, lease := range leases.Own {
		if lease != s.Lease {
			keys = append(keys, leaseKey(s.ID(), lease))
		}
	}
	for _, name := range leases.Pages {
		keys = append(keys, pageKey(s.ID(), name))
	}
	return keys
}

func (l Ledger) list(ctx context.Context, prefix string) ([]string, error) {
	names, err := l.storage.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return names, nil
}

// mark writes an entry whose key says it all.
func (l Ledger) mark(ctx context.Context, key string) error {
	if err := l.storage.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte("{}")}); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func (l Ledger) delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := l.storage.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

// IsReadOnly tells whether storage refused to be written, as on a standby. It also knows the error by its text, which is
// all that comes through the plugin's gRPC.
func IsReadOnly(err error) bool {
	return errors.Is(err, logical.ErrReadOnly) || strings.Contains(err.Error(), logical.ErrReadOnly.Error())
}
