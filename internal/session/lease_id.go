package session

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// leaseID names a lease within its session. It is kept as bytes, because memory holds one for each lease on a shared
// session.
type leaseID [16]byte

// leaseSet is the leases on one session.
type leaseSet map[leaseID]struct{}

func newLeaseID() leaseID {
	var id leaseID
	_, _ = rand.Read(id[:]) // never fails, as documented
	return id
}

var errLeaseID = errors.New("malformed lease ID")

func parseLeaseID(text string) (leaseID, error) {
	var id leaseID
	if err := id.UnmarshalText([]byte(text)); err != nil {
		return leaseID{}, err
	}
	return id, nil
}

func (id leaseID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is the form in storage.
func (id leaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form in storage.
func (id *leaseID) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(id)) {
		return errLeaseID
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return errLeaseID
	}
	return nil
}
