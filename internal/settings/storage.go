package settings

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// Where config, keys and roles are in storage, and below the mount.
const (
	ConfigKey = "config"
	KeyPrefix = "keys/"
	// RolePrefix is not seal-wrapped, as the others are: a role holds nothing secret.
	RolePrefix = "roles/"
)

// storageVersion is the version of the entries that this version of the plugin writes.
const storageVersion = 1

// isSetting tells whether an entry of storage is one that this package writes.
func isSetting(key string) bool {
	return key == ConfigKey || strings.HasPrefix(key, KeyPrefix) || strings.HasPrefix(key, RolePrefix)
}

// UnreadableError says that an entry is there, but cannot be read: it is damaged, or a newer version of the plugin
// has written it. It is a fault of storage for whoever needs the entry, and of no concern to anybody else. Its text
// holds nothing of the entry.
type UnreadableError struct {
	Key   string // of the entry, which is also its path below the mount
	Newer int    // the version that has written it, if that is newer than this one; 0 if the entry is damaged
}

func (e *UnreadableError) Error() string {
	if e.Newer > 0 {
		return fmt.Sprintf("%s was written by a newer version of the plugin (entry version %d; this version reads up to %d)",
			e.Key, e.Newer, storageVersion)
	}
	return e.Key + " is damaged in storage"
}

// Remedy says what mends it, with the commands to run.
func (e *UnreadableError) Remedy(mount Mount) string {
	deletion := mount.Command("delete", e.Key)
	switch {
	case e.Newer > 0:
		return "install that version again, or delete the entry with " + deletion
	case e.Key == ConfigKey:
		return fmt.Sprintf("write it again with all of its settings, %s, or delete it with %s", configCommand(mount), deletion)
	case strings.HasPrefix(e.Key, RolePrefix):
		return fmt.Sprintf("write it again with %s, or delete it with %s", mount.Command("write", e.Key, "..."), deletion)
	default:
		return fmt.Sprintf("delete it with %s, then generate or import a key under that name", deletion)
	}
}

// mark names the entry where it stands among those that can be read.
func (e *UnreadableError) mark() string {
	if e.Newer > 0 {
		return e.Key + " (newer version)"
	}
	return e.Key + " (damaged)"
}

// damaged tells whether err says that an entry is damaged, so that nothing is lost if it is overwritten.
func damaged(err error) bool {
	var unreadable *UnreadableError
	return errors.As(err, &unreadable) && unreadable.Newer == 0
}

func configCommand(mount Mount) string {
	return mount.Command("write", ConfigKey, "base_url=...", "client_id=...", "client_secret=...", "customer_id=...", "user_id=...")
}

// getJSON returns an entry, or nil if there is none. An entry that is there and cannot be read is an
// *UnreadableError.
func getJSON[T any](ctx context.Context, s logical.Storage, key string) (*T, error) {
	entry, err := s.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if entry == nil {
		return nil, nil
	}
	// The version first: a newer one may have changed the types of fields.
	var head struct {
		Version int `json:"version"`
	}
	if err := entry.DecodeJSON(&head); err != nil || head.Version < 1 {
		return nil, &UnreadableError{Key: key}
	}
	if head.Version > storageVersion {
		return nil, &UnreadableError{Key: key, Newer: head.Version}
	}
	value := new(T)
	if err := entry.DecodeJSON(value); err != nil {
		return nil, &UnreadableError{Key: key}
	}
	return value, nil
}

// toChange returns what a write is merged into, given what get has returned: the stored value, or an empty one if
// there is none or it is damaged. replaces tells that it is damaged. A patch needs a value that is there and can be
// read.
func toChange[T any](stored *T, err error, patch bool) (base *T, replaces bool, _ error) {
	switch {
	case damaged(err) && !patch:
		return new(T), true, nil
	case err != nil:
		return nil, false, err
	case stored == nil && patch:
		return nil, false, ErrNotFound
	case stored == nil:
		return new(T), false, nil
	}
	return stored, false, nil
}

const replacedDamaged = "What was stored was damaged and has been replaced. Fields that this request does not set are at their defaults."

func putJSON(ctx context.Context, s logical.Storage, key string, value any) error {
	entry, err := logical.StorageEntryJSON(key, value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := s.Put(ctx, entry); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func remove(ctx context.Context, s logical.Storage, key string) error {
	if err := s.Delete(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// exists tells whether there is an entry, be it readable or not.
func exists(ctx context.Context, s logical.Storage, key string) (bool, error) {
	entry, err := s.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return entry != nil, nil
}

func list(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	names, err := s.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return names, nil
}
