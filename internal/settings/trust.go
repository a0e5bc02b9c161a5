package settings

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
)

// Trust returns what config trusts, and keeps it until something is written; nil if the mount has no config.
func (s *Store) Trust(ctx context.Context, storage logical.Storage) (*session.Trust, error) {
	kept, generation := s.kept.trusted()
	if kept != nil {
		return kept, nil
	}
	c, err := getConfig(ctx, storage)
	if err != nil || c == nil {
		return nil, err
	}
	t := &session.Trust{BaseURL: c.BaseURL, CACert: c.CACert, SecretID: c.SecretID}
	s.kept.keepTrust(t, generation, s.now())
	return t, nil
}
