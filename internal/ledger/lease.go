package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// LeaseID names a lease within its session. It is kept as bytes, because memory holds one for each lease on a shared
// session.
type LeaseID [16]byte

// LeaseSet is the leases on one session.
type LeaseSet map[LeaseID]struct{}

// NewLeaseID returns an ID that no lease has.
func NewLeaseID() LeaseID {
	var id LeaseID
	_, _ = rand.Read(id[:]) // never fails, as documented
	return id
}

var errLeaseID = errors.New("malformed lease ID")

// ParseLeaseID reads what LeaseID.String returned.
func ParseLeaseID(text string) (LeaseID, error) {
	var id LeaseID
	err := id.UnmarshalText([]byte(text))
	return id, err
}

// IsZero tells whether the ID names no lease.
func (id LeaseID) IsZero() bool { return id == LeaseID{} }

func (id LeaseID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the form in storage.
func (id LeaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form in storage.
func (id *LeaseID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return errLeaseID
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return errLeaseID
	}
	return nil
}

// Leases returns all leases on a session.
func (l Ledger) Leases(ctx context.Context, s *Session) (LeaseSet, error) {
	names, err := l.list(ctx, leasePrefix+s.ID()+"/")
	if err != nil {
		return nil, err
	}
	leases := make(LeaseSet, len(names)+1)
	for _, name := range names {
		lease, err := ParseLeaseID(name)
		if err != nil {
			return nil, fmt.Errorf("list leases of session %s: %w", s.ID(), err)
		}
		leases[lease] = struct{}{}
	}
	if !s.Lease.IsZero() {
		leases[s.Lease] = struct{}{}
	}
	return leases, nil
}

// AddLease stores a lease besides the one in the Session.
func (l Ledger) AddLease(ctx context.Context, id string, lease LeaseID) error {
	return l.mark(ctx, leaseKey(id, lease))
}

// RemoveLease deletes a lease besides the one in the Session. It need not exist.
func (l Ledger) RemoveLease(ctx context.Context, id string, lease LeaseID) error {
	return l.delete(ctx, leaseKey(id, lease))
}

func leaseKey(id string, lease LeaseID) string { return leasePrefix + id + "/" + lease.String() }
