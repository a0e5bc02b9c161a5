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
func (v View) Shared(ctx context.Context, share string) (Shared, error) {
	s, err := read[Shared](ctx, v.store, sharedPrefix+share)
	if s == nil {
		return Shared{}, err
	}
	return *s, err
}

// SetShared replaces the hint for a share.
func (v View) SetShared(ctx context.Context, share string, s Shared) error {
	s.Version = version
	return v.store.write(ctx, sharedPrefix+share, s)
}

// DeleteShared deletes the hint for a share.
func (v View) DeleteShared(ctx context.Context, share string) error {
	return v.store.delete(ctx, sharedPrefix+share)
}

// Shares returns the names of all shares that have a hint.
func (v View) Shares(ctx context.Context) ([]string, error) {
	return limited(ctx, "list "+sharedPrefix, func(ctx context.Context) ([]string, error) {
		return logical.CollectKeysWithPrefix(ctx, logical.NewStorageView(v.store.storage, sharedPrefix), "")
	})
}

// ShareOf returns the share whose hint has that storage key; ok is false for other keys.
func ShareOf(key string) (share string, ok bool) { return strings.CutPrefix(key, sharedPrefix) }
