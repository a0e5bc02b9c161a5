package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// unshare ends the session that the readers of a role shared, unless they go on sharing or lease it. A failure is only
// logged: such a session expires by itself.
func (b *backend) unshare(ctx context.Context, storage logical.Storage, role string) {
	shares, err := b.settings.Shares(ctx, storage, role)
	if err == nil && !shares {
		err = b.broker.Unshare(ctx, storage, role)
	}
	if err != nil {
		b.Logger().Warn("failed to end a session that is not shared any more; it stays alive until it expires", "role", role, "error", err)
	}
}

// unshareAll does so for all roles and the mount's defaults, because any of them may inherit from config.
func (b *backend) unshareAll(ctx context.Context, storage logical.Storage) {
	err := b.broker.UnshareExcept(ctx, storage, func(role string) bool {
		shares, err := b.settings.Shares(ctx, storage, role)
		return shares || err != nil // what cannot be read is left as it is
	})
	if err != nil {
		b.Logger().Warn("failed to end sessions that are not shared any more; they stay alive until they expire", "error", err)
	}
}
