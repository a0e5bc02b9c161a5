package settings

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
)

// Trust returns what config trusts, and keeps it until something is written, for a minute at most. It is nil if the mount has no
// config, or one that cannot be read: a session must not depend on that to be logged out. The error is a failure of storage.
func (s *Store) Trust(ctx context.Context, storage logical.Storage) (*session.Trust, error) {
	kept, reading := s.kept.trusted(s.now())
	if kept != nil {
		return kept, nil
	}
	c, err := getConfig(ctx, storage)
	var unreadable *UnreadableError
	if err != nil && !errors.As(err, &unreadable) {
		return nil, err
	}
	if c == nil {
		return nil, nil
	}
	effective := c.WithDefaults()
	t := &session.Trust{
		BaseURL: c.BaseURL, CACert: c.CACert, SecretID: c.SecretID, APIVersion: effective.APIVersion,
		MaxConnections: effective.MaxConnections,
	}
	s.kept.keepTrust(t, reading)
	return t, nil
}
