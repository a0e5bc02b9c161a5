package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
)

// secretSessionType names the secret in every lease. It must never change: Vault could not revoke the leases of an
// older plugin.
const secretSessionType = "workfront_session"

// What a lease holds besides the answer. Numbers are kept as text, because they change their type on the way through
// Vault's JSON.
const (
	internalVersion = "version"
	internalSession = "session_id"
	internalLease   = "lease_id"
	internalBaseURL = "base_url"
	internalTTL     = "ttl"
	internalRole    = "role"

	leaseVersion = "1"
)

func (b *backend) secretSession() *framework.Secret {
	return &framework.Secret{
		Type:   secretSessionType,
		Fields: tokenAnswerFields(),
		Renew:  b.renewSession,
		Revoke: b.revokeSession,
	}
}

// renewSession extends a lease, to the end of its session at most. It needs no config.
func (b *backend) renewSession(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	sessionID, err := leaseData(req, internalSession)
	if err != nil {
		return nil, err
	}
	if roleName, _ := req.Secret.InternalData[internalRole].(string); roleName != "" {
		exists, err := b.settings.RoleExists(ctx, req.Storage, roleName)
		if err != nil {
			return nil, err
		}
		if !exists {
			return nil, settings.BadInput("cannot renew lease: role %q has been deleted", roleName)
		}
	}
	record, err := b.broker.Session(ctx, req.Storage, sessionID)
	if err != nil {
		return nil, err
	}
	if record == nil || record.State != ledger.StateActive {
		return nil, settings.BadInput("cannot renew lease: its Workfront session has ended; read a new token")
	}
	renewed := req.Secret
	left := record.ExpiresAt.Sub(b.now())
	// How long the lease may last from its issue, which the clock may put after the session's expiry: a MaxTTL of 0 or less would
	// stand for the mount's.
	untilEnd := (record.ExpiresAt.Sub(renewed.IssueTime) - time.Second).Truncate(time.Second)
	if left < session.MinLifetime || untilEnd < time.Second {
		return nil, settings.BadInput("cannot renew lease: its Workfront session expires at %s and cannot be extended; read a new token",
			record.ExpiresAt.UTC().Format(time.RFC3339))
	}
	issuedFor, err := leaseData(req, internalTTL)
	if err != nil {
		return nil, err
	}
	ttl, err := time.ParseDuration(issuedFor)
	if err != nil {
		return nil, fmt.Errorf("read lease: %w", err)
	}
	// The increment that the client asks for is applied by Vault, which lets it override TTL, up to MaxTTL counted
	// from the issue of the lease. And Vault keeps the secret that is returned, so it has to be the request's own.
	renewed.TTL = min(ttl, left.Truncate(time.Second)-time.Second, untilEnd)
	if renewed.MaxTTL <= 0 || renewed.MaxTTL > untilEnd {
		renewed.MaxTTL = untilEnd
	}
	asked := renewed.TTL
	if renewed.Increment > 0 {
		asked = renewed.Increment
	}
	lastEnd := renewed.IssueTime.Add(min(renewed.MaxTTL, b.System().MaxLeaseTTL()))
	renewed.Renewable = b.now().Add(asked).Before(lastEnd)
	return &logical.Response{Secret: renewed}, nil
}

// revokeSession takes a lease off its session, and logs that out if it was the last one.
func (b *backend) revokeSession(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	sessionID, err := leaseData(req, internalSession)
	if err != nil {
		return nil, err
	}
	leaseID, err := leaseData(req, internalLease)
	if err != nil {
		return nil, err
	}
	baseURL, _ := req.Secret.InternalData[internalBaseURL].(string) // leases of older builds have none
	return nil, b.broker.Release(ctx, req.Storage, session.LeaseRef{ID: leaseID, SessionID: sessionID, BaseURL: baseURL})
}

func leaseData(req *logical.Request, name string) (string, error) {
	if req.Secret == nil {
		return "", errors.New("request holds no lease")
	}
	value, _ := req.Secret.InternalData[name].(string)
	if value == "" {
		return "", fmt.Errorf("lease holds no %s", name)
	}
	return value, nil
}
