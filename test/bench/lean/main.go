// Command lean is a secrets engine that is as small as an external plugin can be: a read returns a constant under a
// lease. No path carries forward flags, and nothing is looked up: not even the TTLs of the mount, which Vault applies
// by itself. What it costs is what Vault and the SDK cost, and the benchmark measures the plugin against it.
//
//	token        a constant under a lease
//	token-put    the same with one storage put, and one delete when the lease is revoked
//	token-calls  the same with one get and two puts, as many storage calls as a fresh read of the plugin makes
//
// The constant has as many bytes as the plugin's answer.
package main

import (
	"context"
	"crypto/rand"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	if err := plugin.ServeMultiplex(&plugin.ServeOpts{BackendFactoryFunc: factory}); err != nil {
		hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true}).Error("plugin stopped", "error", err)
		os.Exit(1)
	}
}

const (
	secretType = "lean"
	leaseKey   = "key"
	hexID      = "0123456789abcdef0123456789abcdef"
)

func factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	secret := &framework.Secret{Type: secretType, Revoke: revoke}
	b := &framework.Backend{
		BackendType: logical.TypeLogical,
		Paths: []*framework.Path{
			path("token", secret, nothing),
			path("token-put", secret, put),
			path("token-calls", secret, calls),
		},
		Secrets: []*framework.Secret{secret},
	}
	return b, b.Setup(ctx, conf)
}

// store does what an engine stores for a lease, and returns what the lease needs to know for its revocation.
type store func(ctx context.Context, storage logical.Storage) (internal map[string]any, err error)

func path(pattern string, secret *framework.Secret, do store) *framework.Path {
	read := func(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
		internal, err := do(ctx, req.Storage)
		if err != nil {
			return nil, err
		}
		return secret.Response(map[string]any{
			"access_token": hexID,
			"token_type":   "sessionID",
			"base_url":     "https://127.0.0.1:12345",
			"user_id":      hexID,
			"session_id":   hexID,
			"expires_at":   "2026-01-02T03:04:05Z",
		}, internal), nil
	}
	return &framework.Path{
		Pattern:    pattern,
		Operations: map[logical.Operation]framework.OperationHandler{logical.ReadOperation: &framework.PathOperation{Callback: read}},
	}
}

func nothing(context.Context, logical.Storage) (map[string]any, error) { return nil, nil }

func put(ctx context.Context, storage logical.Storage) (map[string]any, error) {
	key := "lease/" + rand.Text()
	err := storage.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte("{}")})
	return map[string]any{leaseKey: key}, err
}

func calls(ctx context.Context, storage logical.Storage) (map[string]any, error) {
	key := "session/" + rand.Text()
	if _, err := storage.Get(ctx, key); err != nil {
		return nil, err
	}
	if err := storage.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte("{}")}); err != nil {
		return nil, err
	}
	return put(ctx, storage)
}

func revoke(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	if key, stored := req.Secret.InternalData[leaseKey].(string); stored {
		return nil, req.Storage.Delete(ctx, key)
	}
	return nil, nil
}
