package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// verifier proves settings by a real exchange and logout.
func (b *backend) verifier(req *logical.Request) func(context.Context, *settings.Resolved) error {
	return func(ctx context.Context, r *settings.Resolved) error {
		// A session that was started must be ended, even if the client leaves.
		ctx = context.WithoutCancel(ctx)
		trial, err := b.broker.Try(ctx, r.Source)
		if err != nil {
			if trial != nil { // its token cannot be issued
				_, _ = trial.End(ctx, req.Storage) // if it cannot be logged out, its logout is pending
			}
			b.tellRefuted(b.refuted.Add(b.now()))
			return fmt.Errorf("not stored, because no session could be started with it: %w", explainRefusal(err, r, req.MountPoint))
		}
		if _, err := trial.End(ctx, req.Storage); err != nil {
			b.tellRefuted(b.refuted.Add(b.now()))
			return fmt.Errorf("not stored, because the session that proved it could not be logged out: %w", err)
		}
		return nil
	}
}

// tellRefuted tells the log of verifications that failed. A single one is a slip; many may be someone who can write config
// and guesses the client secret. The log has no error: that is for whoever sent the request.
func (b *backend) tellRefuted(count int) {
	if count > 0 {
		b.Logger().Warn("verify_connection failed, so config was not changed; the audit log says who tried", "times", count)
	}
}
