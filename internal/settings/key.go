package settings

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// Where a key came from.
const (
	sourceGenerated = "generated"
	sourceImported  = "imported"
)

// storedKey is a signing key in storage.
type storedKey struct {
	Version     int       `json:"version"`
	PrivateKey  string    `json:"private_key"` // PKCS#8 PEM
	Certificate string    `json:"certificate"` // PEM
	Source      string    `json:"source"`
	CreatedAt   time.Time `json:"created_at"`
}

// Key is a signing key, and what is known of it.
type Key struct {
	*signingkey.Key
	Source    string
	CreatedAt time.Time
	UsedBy    []string // the paths whose settings sign with it, and those that may and cannot be read
}

// Key returns the key of that name, or nil.
func (s *Store) Key(ctx context.Context, storage logical.Storage, name string) (*Key, error) {
	key, err := loadKey(ctx, storage, name)
	if err != nil || key == nil {
		return nil, err
	}
	users, err := findKeyUsers(ctx, storage)
	if err != nil {
		return nil, err
	}
	key.UsedBy = users.of(name)
	return key, nil
}

// loadKey returns the key of that name without its users, or nil.
func loadKey(ctx context.Context, s logical.Storage, name string) (*Key, error) {
	stored, err := getJSON[storedKey](ctx, s, KeyPrefix+name)
	if err != nil || stored == nil {
		return nil, err
	}
	private, err := signingkey.ParsePrivateKey(stored.PrivateKey)
	if err != nil {
		return nil, &UnreadableError{Key: KeyPrefix + name}
	}
	key, err := signingkey.ParseCertificate(stored.Certificate, private)
	if err != nil {
		return nil, &UnreadableError{Key: KeyPrefix + name}
	}
	return &Key{Key: key, Source: stored.Source, CreatedAt: stored.CreatedAt}, nil
}

// keyUsers says which settings sign with which key.
type keyUsers struct {
	byKey      map[string][]string // paths, by the name of the key that they name
	unreadable []*UnreadableError  // settings that may use any key
}

// findKeyUsers reads config and every role, once.
func findKeyUsers(ctx context.Context, s logical.Storage) (*keyUsers, error) {
	users := &keyUsers{byKey: make(map[string][]string)}
	c, err := getConfig(ctx, s)
	if c != nil {
		users.add(c.WithDefaults().Key, ConfigKey)
	}
	if err = users.except(err); err != nil {
		return nil, err
	}
	roles, err := list(ctx, s, RolePrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range roles {
		r, err := getRole(ctx, s, name)
		if r != nil && r.Key != "" {
			users.add(r.Key, RolePrefix+name)
		}
		if err = users.except(err); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func (u *keyUsers) add(key, path string) { u.byKey[key] = append(u.byKey[key], path) }

// except notes an entry that cannot be read, and returns any other error.
func (u *keyUsers) except(err error) error {
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) {
		return err
	}
	u.unreadable = append(u.unreadable, unreadable)
	return nil
}

// of returns the paths that use a key, and those that may.
func (u *keyUsers) of(key string) []string {
	paths := append([]string{}, u.byKey[key]...)
	for _, entry := range u.unreadable {
		paths = append(paths, entry.mark())
	}
	return paths
}

// DeleteKey deletes a key that nothing uses, and tells whether there was one. A damaged key is deleted even so:
// nothing can sign with it.
func (s *Store) DeleteKey(ctx context.Context, storage logical.Storage, mount Mount, name string) (deleted bool, err error) {
	if err := s.admin.acquire(ctx); err != nil {
		return false, err
	}
	defer s.admin.release()
	key, err := loadKey(ctx, storage, name)
	var unreadable *UnreadableError
	switch {
	case damaged(err):
	case err != nil && !errors.As(err, &unreadable):
		return false, err
	case err == nil && key == nil:
		return false, nil
	default:
		if err := checkUnused(ctx, storage, mount, name); err != nil {
			return false, err
		}
	}
	err = s.write(ctx, func(ctx context.Context) error { return remove(ctx, storage, KeyPrefix+name) })
	return err == nil, err
}

// checkUnused refuses the deletion of a key that is in use, or may be.
func checkUnused(ctx context.Context, storage logical.Storage, mount Mount, name string) error {
	users, err := findKeyUsers(ctx, storage)
	if err != nil {
		return err
	}
	if paths := users.byKey[name]; len(paths) > 0 {
		return BadField(FieldName, "%q belongs to a key that is in use by %s; set another key there first", name, strings.Join(paths, ", "))
	}
	if len(users.unreadable) > 0 {
		entry := users.unreadable[0]
		return BadField(FieldName, "%q belongs to a key that may be in use: %s, and so it is not known which key it uses; %s",
			name, entry, entry.Remedy(mount))
	}
	return nil
}
