package ledger

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// pageMax is how many leases a page holds at most. More would not fit into its bits.
const pageMax = 64

// LeaseID names a lease within its session. Its text is <page>-<bit> for a lease on a page, where <page> is
// <16 hexadecimal digits>.<n> and n is the number of leases that the page was written with, and own-<16 hexadecimal
// digits> for the lease that the session was recorded with. No ID is used twice.
//
// It is not a secret: Vault alone holds it, and Vault alone sends revocations.
type LeaseID struct {
	number uint64 // of the page, or of the own lease
	n      uint8  // leases that the page was written with; 0 for an own lease
	bit    uint8  // below n
}

const ownPrefix = "own-"

// newNumber returns a number that no lease and no page has; never 0.
func newNumber() uint64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails, as documented
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// NewOwnLease returns the ID of a lease to record a session with.
func NewOwnLease() LeaseID { return LeaseID{number: newNumber()} }

// IsZero reports whether the ID names no lease.
func (id LeaseID) IsZero() bool { return id == LeaseID{} }

// isOwn reports whether the lease is in the Session, rather than on a page.
func (id LeaseID) isOwn() bool { return id.n == 0 }

func (id LeaseID) mask() uint64 { return 1 << id.bit }

func (id LeaseID) String() string {
	switch {
	case id.IsZero():
		return ""
	case id.isOwn():
		return fmt.Sprintf("%s%016x", ownPrefix, id.number)
	}
	return pageName(id.number, id.n) + "-" + strconv.Itoa(int(id.bit))
}

// ErrLeaseID says that a text names no lease of this plugin.
var ErrLeaseID = errors.New("malformed lease ID")

// ParseLeaseID reads what LeaseID.String returned. The error is ErrLeaseID.
func ParseLeaseID(text string) (LeaseID, error) {
	if digits, ok := strings.CutPrefix(text, ownPrefix); ok {
		number, ok := parseNumber(digits)
		if !ok {
			return LeaseID{}, ErrLeaseID
		}
		return LeaseID{number: number}, nil
	}
	name, bit, _ := strings.Cut(text, "-")
	number, n, ok := parsePageName(name)
	b, err := strconv.ParseUint(bit, 10, 8)
	id := LeaseID{number: number, n: n, bit: uint8(b)}
	if !ok || err != nil || id.bit >= n || id.String() != text {
		return LeaseID{}, ErrLeaseID
	}
	return id, nil
}

// MarshalText returns the form in storage.
func (id LeaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form in storage.
func (id *LeaseID) UnmarshalText(text []byte) (err error) {
	*id = LeaseID{}
	if len(text) > 0 {
		*id, err = ParseLeaseID(string(text))
	}
	return err
}

func parseNumber(digits string) (number uint64, ok bool) {
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number != 0 && fmt.Sprintf("%016x", number) == digits
}

func pageName(number uint64, n uint8) string { return fmt.Sprintf("%016x.%d", number, n) }

// parsePageName reads the name of a page; ok is false for a name that is not one.
func parsePageName(name string) (number uint64, n uint8, ok bool) {
	digits, count, _ := strings.Cut(name, ".")
	number, ok = parseNumber(digits)
	c, err := strconv.ParseUint(count, 10, 8)
	if !ok || err != nil || c < 1 || c > pageMax || strconv.FormatUint(c, 10) != count {
		return 0, 0, false
	}
	return number, uint8(c), true
}

// page is what memory knows of a page of leases. It is a value without pointers, because there can be many of them.
type page struct {
	left    uint64 // leases in storage; all that it was written with as long as it is unread
	cleared uint64 // of those, released: storage has them until the page is written
	n       uint8  // leases that it was written with
	unread  bool   // left is an upper bound
	damaged bool   // its entry cannot be read: it counts as a lease, until the session is removed
}

// listedPage is what the name of a page says of it. A page of one lease never has to be read.
func listedPage(n uint8) page { return page{left: allOf(n), n: n, unread: n > 1} }

// allOf returns the bits of n leases.
func allOf(n uint8) uint64 { return ^uint64(0) >> (pageMax - n) }

func (p page) wanted() uint64 { return p.left &^ p.cleared }

// holds reports whether the session has a lease on the page, as far as is known.
func (p page) holds() bool { return p.damaged || p.wanted() != 0 }

// leases returns how many leases there are on the page, as far as is known.
func (p page) leases() int {
	if p.damaged {
		return 1
	}
	return bits.OnesCount64(p.wanted())
}

// storedPage is the form in storage. The bits are text, because a JSON number above 2^53 is not exact everywhere.
type storedPage struct {
	Version int    `json:"version"`
	Left    string `json:"left"`
}

var errPageBits = errors.New("left is not a set of the leases that its name allows")

func pageKey(id string, number uint64, n uint8) string {
	return leasePrefix + id + "/" + pageName(number, n)
}

// readPage returns the leases left on a page, none if it is not there.
func (s store) readPage(ctx context.Context, id string, number uint64, n uint8) (left uint64, err error) {
	key := pageKey(id, number, n)
	p, err := read[storedPage](ctx, s, key)
	if p == nil {
		return 0, err
	}
	left, ok := parseNumber(p.Left)
	if !ok || left&^allOf(n) != 0 {
		return 0, &DamagedError{key, errPageBits}
	}
	return left, nil
}

// writePage stores the leases left on a page; without any, it is deleted.
func (s store) writePage(ctx context.Context, id string, number uint64, n uint8, left uint64) error {
	key := pageKey(id, number, n)
	if left == 0 {
		return s.delete(ctx, key)
	}
	return s.write(ctx, key, storedPage{Version: version, Left: fmt.Sprintf("%016x", left)})
}
