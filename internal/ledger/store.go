package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// callLimit is how long a call to storage may take. After that it is given up: what it was asked may yet be carried
// out, and other calls go beside it.
const callLimit = 5 * time.Second

// TimeoutError says that storage, or a session that others work on, took too long. The call can be repeated.
type TimeoutError struct{ Waited string }

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s took too long; try again, and check the health of Vault's storage", e.Waited)
}

// store is storage whose calls end: within callLimit, whatever storage does.
type store struct{ storage logical.Storage }

// limited calls do, and gives it up after callLimit. A read ends with the request's context as well, and returns its
// error. A write does not, because whether it was carried out must be known.
func limited[T any](request context.Context, what string, do func(ctx context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(request, callLimit)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		defer close(done)
		value, err := do(ctx)
		done <- result{value, err}
	}()
	var none T
	select {
	case r, ok := <-done:
		if !ok {
			runtime.Goexit() // as do did; x/sync/singleflight hands it on, too
		}
		switch {
		case r.err == nil:
			return r.value, nil
		case ctx.Err() != nil && request.Err() == nil: // whatever form gRPC gave the error
			return none, &TimeoutError{what}
		default:
			return none, fmt.Errorf("%s: %w", what, r.err)
		}
	case <-ctx.Done():
		if err := request.Err(); err != nil {
			return none, fmt.Errorf("%s: %w", what, err)
		}
		return none, &TimeoutError{what}
	}
}

func (s store) get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	return limited(ctx, "read "+key, func(ctx context.Context) (*logical.StorageEntry, error) {
		return s.storage.Get(ctx, key)
	})
}

func (s store) list(ctx context.Context, prefix string) ([]string, error) {
	return limited(ctx, "list "+prefix, func(ctx context.Context) ([]string, error) { return s.storage.List(ctx, prefix) })
}

func (s store) put(ctx context.Context, entry *logical.StorageEntry) error {
	_, err := limited(context.WithoutCancel(ctx), "write "+entry.Key, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.storage.Put(ctx, entry)
	})
	return err
}

// mark writes an entry whose key says it all.
func (s store) mark(ctx context.Context, key string) error {
	return s.put(ctx, &logical.StorageEntry{Key: key, Value: []byte("{}")})
}

func (s store) delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		_, err := limited(context.WithoutCancel(ctx), "delete "+key, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.storage.Delete(ctx, key)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s store) write(ctx context.Context, key string, value any) error {
	entry, err := logical.StorageEntryJSON(key, value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	return s.put(ctx, entry)
}

// version is that of the forms in storage. 1 and 2 were those of development builds, which no release reads.
const version = 3

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
		"install that plugin version again", e.Key, e.Version, version)
}

// IsUnreadable reports whether err says that an entry in storage is damaged or newer.
func IsUnreadable(err error) bool {
	var newer *NewerError
	return IsDamaged(err) || errors.As(err, &newer)
}

// IsDamaged reports whether err says that an entry in storage is damaged.
func IsDamaged(err error) bool {
	var damaged *DamagedError
	return errors.As(err, &damaged)
}

// IsReadOnly reports whether storage refused to be written, as on a standby. It also knows the error by its text, which
// is all that comes through the plugin's gRPC.
func IsReadOnly(err error) bool {
	return errors.Is(err, logical.ErrReadOnly) || strings.Contains(err.Error(), logical.ErrReadOnly.Error())
}

// versioned is the part of every entry that says how to read the rest.
type versioned struct {
	Version int `json:"version"`
}

var errOldForm = errors.New("its version is that of a development build")

// read returns what an entry holds, or nil if there is none.
func read[T any](ctx context.Context, s store, key string) (*T, error) {
	entry, err := s.get(ctx, key)
	if err != nil || entry == nil {
		return nil, err
	}
	var form versioned
	if err := entry.DecodeJSON(&form); err != nil {
		return nil, &DamagedError{key, err}
	}
	switch {
	case form.Version > version:
		return nil, &NewerError{key, form.Version}
	case form.Version < version:
		return nil, &DamagedError{key, errOldForm}
	}
	value := new(T)
	if err := entry.DecodeJSON(value); err != nil {
		return nil, &DamagedError{key, err}
	}
	return value, nil
}
