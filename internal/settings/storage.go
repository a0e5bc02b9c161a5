package settings

import (
	"context"
	"fmt"

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

func getJSON[T any](ctx context.Context, s logical.Storage, key string) (*T, error) {
	entry, err := s.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if entry == nil {
		return nil, nil
	}
	value := new(T)
	if err := entry.DecodeJSON(value); err != nil {
		return nil, fmt.Errorf("decode %s: %w", key, err)
	}
	return value, nil
}

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

func list(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	names, err := s.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return names, nil
}
