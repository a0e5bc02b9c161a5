package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// unshare ends what the readers of a role shared and nobody leases, if its settings say that they share nothing any
// more. A failure is only logged: such a session ends by itself at last.
func (b *backend) unshare(ctx context.Context, storage logical.Storage, role string) {
	shares, err := b.settings.Shares(ctx, storage, role)
	if err == nil && !shares {
		err = b.broker.Retire(ctx, storage, settings.ShareName(role))
	}
	if err != nil {
		b.Logger().Warn("a session that is no longer shared could not be logged out; it lives until it expires", "role", role, "error", err)
	}
}

// unshareAll does so for all roles and the mount's defaults, because any of them may inherit from config.
func (b *backend) unshareAll(ctx context.Context, storage logical.Storage) {
	names, err := b.broker.Shares(ctx, storage)
	if err != nil {
		b.Logger().Warn("sessions that are no longer shared could not be looked for; they live until they expire", "error", err)
		return
	}
	for _, name := range names {
		role, _ := strings.CutPrefix(name, settings.RolePrefix)
		if name == settings.ConfigKey {
			role = ""
		}
		b.unshare(ctx, storage, role)
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
