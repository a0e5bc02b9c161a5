package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
)

// PageID names a page within its session.
type PageID string

// pagePrefix tells the names of pages from those of leases, which are hexadecimal.
const pagePrefix = "page-"

// NewPageID returns an ID that no page has.
func NewPageID() PageID {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, as documented
	return PageID(pagePrefix + hex.EncodeToString(id[:]))
}

// page is the form in storage.
type page struct {
	Version int       `json:"version"`
	Leases  []LeaseID `json:"leases"`
}

var errNoLeases = errors.New("it holds no leases")

// Page returns the leases in a page, none if it does not exist. The error is a *DamagedError, a *NewerError or a failure of
// storage.
func (l Ledger) Page(ctx context.Context, id string, name PageID) ([]LeaseID, error) {
	key := pageKey(id, name)
	p, err := read[page](ctx, l.storage, key)
	if p == nil {
		return nil, err
	}
	if p.Version < versionPaged || len(p.Leases) == 0 { // never written so
		return nil, &DamagedError{key, errNoLeases}
	}
	return p.Leases, nil
}

// SetPage stores leases on a session whose Session allows pages, all of them or, after an error, perhaps none. They replace
// what the page held; without any, it is deleted.
func (l Ledger) SetPage(ctx context.Context, id string, name PageID, leases []LeaseID) error {
	if len(leases) == 0 {
		return l.delete(ctx, pageKey(id, name))
	}
	return write(ctx, l.storage, pageKey(id, name), page{Version: versionPaged, Leases: leases})
}

func pageKey(id string, name PageID) string { return leasePrefix + id + "/" + string(name) }
