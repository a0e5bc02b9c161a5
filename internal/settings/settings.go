// Package settings holds the config, the roles and the signing keys of a mount: their rules, their storage, what a role
// inherits, and what a token read needs of them, resolved once and kept.
package settings

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// Options is what a Store is made of.
type Options struct {
	Now func() time.Time
}

// Store reads and writes the settings of one mount. It is safe for concurrent use.
type Store struct {
	now   func() time.Time
	kept  cache
	watch expiryWatch

	// admin is held while config, keys or roles are written, so that a key cannot be deleted while something is written
	// that names it. Token reads do not take it.
	admin sync.Mutex
}

// New returns a Store.
func New(o Options) *Store { return &Store{now: o.Now} }

// Invalidate drops what memory keeps of an entry that another node has written.
func (s *Store) Invalidate(key string) {
	if isSetting(key) {
		s.kept.drop()
	}
}

// write carries out one write of settings, and drops what memory keeps of them. The caller holds admin.
func (s *Store) write(ctx context.Context, do func(ctx context.Context) error) error {
	if err := do(ctx); err != nil {
		return err
	}
	s.kept.drop()
	return nil
}

// Keys returns the names of the signing keys.
func (s *Store) Keys(ctx context.Context, storage logical.Storage) ([]string, error) {
	return list(ctx, storage, KeyPrefix)
}

// Roles returns the names of the roles.
func (s *Store) Roles(ctx context.Context, storage logical.Storage) ([]string, error) {
	return list(ctx, storage, RolePrefix)
}
