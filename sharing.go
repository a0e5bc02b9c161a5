package main

import (
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// shareName names whom a session is shared among: the readers of a role, or those of the mount's defaults.
func shareName(roleName string) string {
	if roleName == "" {
		return configKey
	}
	return rolePrefix + roleName
}

// endUnshared ends what was shared under settings that were changed or deleted, and that nobody leases. A failure is only
// logged: such a session ends by itself at last.
func (b *backend) endUnshared(ctx context.Context, s logical.Storage) {
	if err := b.tryEndUnshared(ctx, s); err != nil {
		b.Logger().Warn("a session that is shared no longer could not be ended; it stays until its end", "error", err)
	}
}

func (b *backend) tryEndUnshared(ctx context.Context, s logical.Storage) error {
	shares, err := b.broker.Shares(ctx, s)
	if err != nil || len(shares) == 0 {
		return err
	}
	c, err := getConfig(ctx, s)
	if err != nil {
		return err
	}
	for _, share := range shares {
		shared := c != nil && c.ShareSession
		if roleName, ofRole := strings.CutPrefix(share, rolePrefix); ofRole {
			r, err := getRole(ctx, s, roleName)
			if err != nil {
				return err
			}
			shared = c != nil && r != nil && r.over(*c).ShareSession
		}
		if shared {
			continue
		}
		if err := b.broker.Retire(ctx, s, share); err != nil {
			return err
		}
	}
	return nil
}
