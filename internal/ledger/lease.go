package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// LeaseID names a lease within its session. It is kept as bytes, because memory holds one for each lease on a shared
// session.
type LeaseID [16]byte

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

// Leases says where the leases on one session are stored.
type Leases struct {
	Own   []LeaseID // in the Session, or in an entry of their own
	Pages []PageID  // some of which may be no pages: then they are damaged ones
}

// Leases returns where the leases on a session are stored. It reads no page.
func (l Ledger) Leases(ctx context.Context, s *Session) (Leases, error) {
	names, err := l.list(ctx, leasePrefix+s.ID()+"/")
	if err != nil {
		return Leases{}, err
	}
	leases := Leases{Own: make([]LeaseID, 0, len(names)+1)}
	if !s.Lease.IsZero() {
		leases.Own = append(leases.Own, s.Lease)
	}
	for _, name := range names {
		if lease, err := ParseLeaseID(name); err == nil {
			leases.Own = append(leases.Own, lease)
		} else {
			leases.Pages = append(leases.Pages, PageID(name))
		}
	}
	return leases, nil
}

// AddLease stores a lease besides the one in the Session, in an entry of its own.
func (l Ledger) AddLease(ctx context.Context, id string, lease LeaseID) error {
	return l.mark(ctx, leaseKey(id, lease))
}

// RemoveLease deletes a lease that has an entry of its own. It need not exist.
func (l Ledger) RemoveLease(ctx context.Context, id string, lease LeaseID) error {
	return l.delete(ctx, leaseKey(id, lease))
}

func leaseKey(id string, lease LeaseID) string { return leasePrefix + id + "/" + lease.String() }
