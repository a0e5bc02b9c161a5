package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// verify proves settings, which have their defaults, with a real exchange and logout.
func (b *backend) verify(ctx context.Context, req *logical.Request, c config) error {
	err := c.checkIDs()
	var s *settings
	if err == nil {
		s, err = makeSettings(ctx, req, c, "")
	}
	if err != nil {
		return fmt.Errorf("not stored, because it cannot be verified: %w", err)
	}
	// A session that was started must be ended, even if the client leaves.
	ctx = context.WithoutCancel(ctx)
	trial, err := b.broker.Try(ctx, s.source)
	if err != nil {
		return fmt.Errorf("not stored, because no session could be started with it: %w", explainRefusal(err, s, req.MountPoint))
	}
	if _, err := trial.End(ctx, req.Storage); err != nil {
		return fmt.Errorf("not stored, because the session that proved it could not be logged out: %w", err)
	}
	return nil
}
