package main

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
)

// Time passes between the moment that a session is found good and the answer. What was found good is issued.
func TestTokenOfASessionWithJustEnoughLeft(t *testing.T) {
	m, _ := ready(t, map[string]any{settings.FieldShareSession: true})
	conf := &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: m.system, StorageView: m.storage}
	for more := range 20 {
		m.restart()
		m.readToken(nil)
		m.clock.Advance(30*time.Minute - session.MinLifetime - time.Duration(more)*time.Millisecond)
		b := newBackend(conf, func() time.Time {
			m.clock.Advance(time.Millisecond)
			return m.clock.Now()
		})
		if err := b.Setup(t.Context(), conf); err != nil {
			t.Fatal(err)
		}
		m.backend = b
		if resp := m.must(logical.ReadOperation, "token", nil); resp.Secret.TTL < time.Second {
			t.Errorf("TTL: got %s, want a second at least", resp.Secret.TTL)
		}
		b.Clean(t.Context())
		m.clock.Advance(time.Hour)
	}
}
