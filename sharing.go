package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
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

// verifier proves settings by a real exchange and logout.
func (b *backend) verifier(req *logical.Request) func(context.Context, *settings.Resolved) error {
	return func(ctx context.Context, r *settings.Resolved) error {
		// A session that was started must be ended, even if the client leaves.
		ctx = context.WithoutCancel(ctx)
		trial, err := b.broker.Try(ctx, r.Source)
		if err != nil {
			return fmt.Errorf("not stored, because no session could be started with it: %w", explainRefusal(err, r, req.MountPoint))
		}
		if _, err := trial.End(ctx, req.Storage); err != nil {
			return fmt.Errorf("not stored, because the session that proved it could not be logged out: %w", err)
		}
		return nil
	}
}
