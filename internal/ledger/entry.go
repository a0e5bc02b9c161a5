package ledger

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// The versions of the forms in storage.
const (
	version = 1
	// versionPaged is that of a Session whose leases may be in pages. A build that knows none would take such a Session for one
	// that has no leases, and log it out.
	versionPaged = 2
	// newest is the newest version that this build reads.
	newest = versionPaged
)

// DamagedError says that an entry in storage cannot be read.
type DamagedError struct {
	Key string // in storage, relative to the mount
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("storage entry %s is damaged: %v", e.Key, e.Err)
}

// Unwrap returns what is wrong with it.
func (e *DamagedError) Unwrap() error { return e.Err }

// NewerError says that a newer build of the plugin wrote an entry. It is neither read by guess nor written over.
type NewerError struct {
	Key     string // in storage, relative to the mount
	Version int    // of the entry
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("storage entry %s has version %d, written by a newer version of this plugin (this one knows up to %d); "+
		"install that plugin version again", e.Key, e.Version, newest)
}

// versioned is the part of every entry that says how to read the rest.
type versioned struct {
	Version int `json:"version"`
}

// read returns what an entry holds, or nil if there is none.
func read[T any](ctx context.Context, storage logical.Storage, key string) (*T, error) {
	entry, err := storage.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if entry == nil {
		return nil, nil
	}
	var form versioned
	if err := entry.DecodeJSON(&form); err != nil {
		return nil, &DamagedError{key, err}
	}
	if form.Version > newest {
		return nil, &NewerError{key, form.Version}
	}
	value := new(T)
	if err := entry.DecodeJSON(value); err != nil {
		return nil, &DamagedError{key, err}
	}
	return value, nil
}

func write(ctx context.Context, storage logical.Storage, key string, value any) error {
	entry, err := logical.StorageEntryJSON(key, value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := storage.Put(ctx, entry); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
