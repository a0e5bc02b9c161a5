// Command noop is a secrets engine that does nothing: a read returns a constant under a lease. It is the limit that Vault
// itself sets, and what the benchmark holds the plugin against.
//
//	token      a constant under a lease
//	token-put  the same with one storage put for each lease and one delete for its revocation: what an exact count of
//	           leases costs at least
//
// The answer, what Vault keeps with the lease, the forward flags and the questions for TTLs are as the plugin's.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"time"

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

// life is what is left of the session that the constant stands for.
const life = 30 * time.Minute

const (
	secretType    = "noop"
	internalLease = "lease_id"
	internalPut   = "put"
)

var hexID = strings.Repeat("0123456789abcdef", 2)

type backend struct{ *framework.Backend }

func factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{}
	b.Backend = &framework.Backend{
		BackendType: logical.TypeLogical,
		Paths:       []*framework.Path{b.path("token", false), b.path("token-put", true)},
		Secrets:     []*framework.Secret{{Type: secretType, Revoke: revoke}},
	}
	if err := b.Setup(ctx, conf); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *backend) path(pattern string, put bool) *framework.Path {
	read := func(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
		return b.read(ctx, req, put)
	}
	return &framework.Path{
		Pattern: pattern,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback:                    read,
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
	}
}

func (b *backend) read(ctx context.Context, req *logical.Request, put bool) (*logical.Response, error) {
	ttl, _, err := framework.CalculateTTL(b.System(), 0, 0, 0, 0, 0, time.Time{})
	if err != nil {
		return nil, err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, as documented
	lease := hex.EncodeToString(random[:])
	wrote := ""
	if put {
		wrote = "yes"
		if err := req.Storage.Put(ctx, &logical.StorageEntry{Key: leaseKey(lease), Value: []byte("{}")}); err != nil {
			return nil, err
		}
	}
	resp := b.Secret(secretType).Response(map[string]any{
		"access_token": hexID,
		"token_type":   "sessionID",
		"base_url":     "https://127.0.0.1:12345",
		"user_id":      hexID,
		"session_id":   hexID,
		"expires_at":   time.Now().Add(life).UTC().Format(time.RFC3339),
	}, map[string]any{
		"version":     "1",
		"session_id":  hexID,
		internalLease: lease,
		"ttl":         "29m59s",
		internalPut:   wrote,
	})
	resp.Secret.TTL = min(ttl, life)
	resp.Secret.MaxTTL = life
	return resp, nil
}

func revoke(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	lease, _ := req.Secret.InternalData[internalLease].(string)
	if req.Secret.InternalData[internalPut] == "yes" {
		return nil, req.Storage.Delete(ctx, leaseKey(lease))
	}
	return nil, nil
}

// leaseKey is as long as the plugin's.
func leaseKey(lease string) string { return "lease/" + hexID + "/" + lease }
