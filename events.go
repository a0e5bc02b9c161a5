package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
)

// The types of events, as sent to Vault's event system. There is none for each session: it would cost a call on every
// read.
const (
	eventConfigWrite  = "workfront/config-write"
	eventConfigDelete = "workfront/config-delete"
	eventKeyCreate    = "workfront/key-create"
	eventKeyDelete    = "workfront/key-delete"
	eventKeyExpiring  = "workfront/key-expiring"
	eventRoleWrite    = "workfront/role-write"
	eventRoleDelete   = "workfront/role-delete"
	eventSession      = "workfront/" // and the kind of session.Event
)

// event tells Vault's event system what was done. metadata is pairs of names and values, none of them secret. What is done
// is done whether or not anybody hears of it, so a failure (a Vault without an event system, for one) is only logged.
func (b *backend) event(ctx context.Context, eventType string, metadata ...string) {
	if err := logical.SendEvent(ctx, b, eventType, metadata...); err != nil {
		b.Logger().Trace("event not sent", "type", eventType, "error", err)
	}
}

func (b *backend) sessionEvent(ctx context.Context, e session.Event) {
	b.event(ctx, eventSession+string(e.Kind), "path", sessionsPath+e.SessionID, "role", e.Role, "base_url", e.BaseURL)
}
