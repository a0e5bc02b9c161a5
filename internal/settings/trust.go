package settings

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// Trust is what config trusts now. A session that was started under the same SecretID, at the same BaseURL, may be
// logged out by it, so that a gateway's CA can be rotated.
type Trust struct{ BaseURL, CACert, SecretID string }

// Trust returns what config trusts, and keeps it until something is written; nil if the mount has no config.
func (s *Store) Trust(ctx context.Context, storage logical.Storage) (*Trust, error) {
	kept, generation := s.kept.trusted()
	if kept != nil {
		return kept, nil
	}
	c, err := getConfig(ctx, storage)
	if err != nil || c == nil {
		return nil, err
	}
	t := &Trust{BaseURL: c.BaseURL, CACert: c.CACert, SecretID: c.SecretID}
	s.kept.keepTrust(t, generation, s.now())
	return t, nil
}
