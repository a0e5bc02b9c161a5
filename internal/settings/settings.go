// Package settings holds the config, the roles and the signing keys of a mount: their rules, their storage, what a
// role inherits, and what a token read needs of them, resolved once and kept.
package settings

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// ErrNotFound says that what a patch is for does not exist.
var ErrNotFound = errors.New("not found")

// BusyError says that there is no room or time for a request now, and that nothing was stored. It may be tried again
// as it is.
type BusyError struct{ Text string }

func (e *BusyError) Error() string { return e.Text }

// Options is what a Store is made of.
type Options struct {
	Now func() time.Time
	// Generate generates a key; nil stands for signingkey.Generate.
	Generate func(bits int, c signingkey.Certification) (*signingkey.Key, error)
}

// Store reads and writes the settings of one mount. It is safe for concurrent use.
type Store struct {
	now      func() time.Time
	generate func(bits int, c signingkey.Certification) (*signingkey.Key, error)
	kept     cache
	watch    expiryWatch

	// admin is held while config, keys or roles are read and written, so that no change is lost, and no key is deleted
	// while something is written that names it. Only storage is called meanwhile. Token reads do not take it.
	admin lock
	// generating is held while a key is generated, which keeps a processor busy for seconds.
	generating lock
}

// New returns a Store.
func New(o Options) *Store {
	s := &Store{now: o.Now, generate: o.Generate, admin: make(lock, 1), generating: make(lock, 1)}
	if s.generate == nil {
		s.generate = signingkey.Generate
	}
	return s
}

// lock is a mutex whose waiters leave with their clients.
type lock chan struct{}

// acquire takes the lock, unless the client leaves or has left.
func (l lock) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lock) tryAcquire() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l lock) release() { <-l }

// Invalidate drops what memory keeps of an entry that another node has written.
func (s *Store) Invalidate(key string) {
	if isSetting(key) {
		s.kept.drop()
	}
}

// distrust is for how long after a write that failed nothing is kept: storage may carry it out later.
const distrust = time.Minute

// write carries out one write of settings. Memory keeps nothing of them while it is under way, and begins anew after it, whatever
// comes of it. The caller holds admin. A write that has begun is not cut off with its client, so that what is stored is known when memory is
// dropped.
func (s *Store) write(ctx context.Context, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var notBefore time.Time
	s.kept.beginWrite()
	defer func() { s.kept.endWrite(notBefore) }()
	err := do(context.WithoutCancel(ctx))
	if err != nil {
		notBefore = s.now().Add(distrust)
	}
	return err
}

// Keys returns the names of the signing keys.
func (s *Store) Keys(ctx context.Context, storage logical.Storage) ([]string, error) {
	return list(ctx, storage, KeyPrefix)
}

// Roles returns the names of the roles.
func (s *Store) Roles(ctx context.Context, storage logical.Storage) ([]string, error) {
	return list(ctx, storage, RolePrefix)
}
