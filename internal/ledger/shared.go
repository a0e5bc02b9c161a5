package ledger

import (
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// Shared names the session that the readers of a share were last given. It is a hint: the session may be gone, and
// without the hint another one is started.
type Shared struct {
	Version     int    `json:"version"`
	SessionID   string `json:"session_id"`
	Fingerprint string `json:"source"` // of what the session was started from
}

// Shared returns the hint for a share, zero if there is none. The error is a *DamagedError, a *NewerError or a failure
// of storage.
func (l Ledger) Shared(ctx context.Context, share string) (Shared, error) {
	s, err := read[Shared](ctx, l.storage, sharedPrefix+share)
	if s == nil {
		return Shared{}, err
	}
	return *s, err
}

// SetShared replaces the hint for a share.
func (l Ledger) SetShared(ctx context.Context, share string, s Shared) error {
	s.Version = version
	return write(ctx, l.storage, sharedPrefix+share, s)
}

// DeleteShared deletes the hint for a share.
func (l Ledger) DeleteShared(ctx context.Context, share string) error {
	return l.delete(ctx, sharedPrefix+share)
}

// Shares returns the names of all shares that have a hint.
func (l Ledger) Shares(ctx context.Context) ([]string, error) {
	return logical.CollectKeysWithPrefix(ctx, logical.NewStorageView(l.storage, sharedPrefix), "")
}

// ShareOf returns the share whose hint has that storage key; ok is false for other keys.
func ShareOf(key string) (share string, ok bool) { return strings.CutPrefix(key, sharedPrefix) }
