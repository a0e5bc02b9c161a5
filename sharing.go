package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// shareName names whom a session is shared among: the readers of a role, or those of the mount's defaults.
func shareName(roleName string) string {
	if roleName == "" {
		return configKey
	}
	return rolePrefix + roleName
}

// stopSharing ends what the readers of a role, or of the mount's defaults, shared and nobody leases, if they share no longer.
func (b *backend) stopSharing(ctx context.Context, s logical.Storage, roleName string, shares bool) {
	if shares {
		return
	}
	if err := b.broker.Retire(ctx, s, shareName(roleName)); err != nil {
		b.Logger().Warn("the shared session could not be ended; it stays until its end", "role", roleName, "error", err)
	}
}
