package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

func (b *backend) pathToken() *framework.Path {
	return &framework.Path{
		Pattern:         "token",
		DisplayAttrs:    &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "token"},
		Fields:          map[string]*framework.FieldSchema{settings.FieldTTL: tokenTTLField()},
		Operations:      tokenOperations(b.readToken, "Return a leased access token with the defaults of config."),
		HelpSynopsis:    `Return a Workfront access token under a lease.`,
		HelpDescription: tokenDescription,
	}
}

func (b *backend) pathTokenRole() *framework.Path {
	return &framework.Path{
		Pattern:      "token/" + `(?P<` + fieldRole + `>[^/]+)`,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "role-token"},
		Fields: map[string]*framework.FieldSchema{
			settings.FieldTTL: tokenTTLField(),
			fieldRole: {
				Type:         framework.TypeString,
				Description:  "Name of the role.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Role", Identifier: true},
			},
		},
		Operations:      tokenOperations(b.readRoleToken, "Return a leased access token for a role."),
		HelpSynopsis:    `Return a Workfront access token for a role under a lease.`,
		HelpDescription: tokenDescription,
	}
}

func tokenTTLField() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:         framework.TypeDurationSecond,
		Description:  "Requested lease TTL, 1s or more. Capped by max_ttl and by the session's remaining lifetime.",
		Query:        true,
		DisplayAttrs: &framework.DisplayAttributes{Name: "Lease TTL"},
	}
}

func tokenOperations(callback framework.OperationFunc, summary string) map[logical.Operation]framework.OperationHandler {
	operation := func(summary string) *framework.PathOperation {
		return &framework.PathOperation{
			Callback:  callback,
			Summary:   summary,
			Responses: ok("A leased access token.", tokenAnswerFields()),
			// A node that cannot write would start a session and then be unable to record it.
			ForwardPerformanceStandby:   true,
			ForwardPerformanceSecondary: true,
		}
	}
	return map[logical.Operation]framework.OperationHandler{
		logical.ReadOperation: operation(summary),
		// Vault Agent and consul-template write a path when a template gives parameters.
		logical.UpdateOperation: operation(summary + " For clients that send parameters by writing; reading is the usual way."),
	}
}

func tokenAnswerFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		fieldAccessToken:      {Type: framework.TypeString, Description: "The session, to be sent in the header sessionID.", DisplayAttrs: &framework.DisplayAttributes{Sensitive: true}},
		fieldTokenType:        {Type: framework.TypeString, Description: "What Workfront calls the token: sessionID."},
		settings.FieldBaseURL: {Type: framework.TypeString, Description: "Address of the Workfront that the session is for."},
		settings.FieldUserID:  {Type: framework.TypeString, Description: "ID of the Workfront user whose session it is."},
		fieldSessionID:        {Type: framework.TypeString, Description: "Name of the session under sessions/. It is not a credential."},
		fieldExpiresAt:        {Type: framework.TypeTime, Description: "When the session itself expires, however often the lease is renewed."},
		fieldRole:             {Type: framework.TypeString, Description: "Role that the token was read for. Omitted if there is none."},
	}
}

func (b *backend) readToken(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return b.issueToken(ctx, req, d, "")
}

func (b *backend) readRoleToken(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldRole).(string)
	if err := settings.CheckName(fieldRole, name); err != nil {
		return nil, err
	}
	return b.issueToken(ctx, req, d, name)
}

// issueToken answers with a leased access token for a role, or with the defaults of config if roleName is empty.
func (b *backend) issueToken(ctx context.Context, req *logical.Request, d *framework.FieldData, roleName string) (*logical.Response, error) {
	asked, err := askedTTL(d)
	if err != nil {
		return nil, err
	}
	s, err := b.settings.Resolve(ctx, req.Storage, mountOf(req), roleName)
	if err != nil {
		return nil, err
	}
	ttl, warnings, err := framework.CalculateTTL(b.System(), asked, s.TTL, 0, s.MaxTTL, 0, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("calculate ttl: %w", err)
	}
	if ttl < time.Second { // the SDK's client answers 0 if its call to Vault has failed
		return nil, errors.New("calculate ttl: Vault did not state the mount's default lease TTL; try again")
	}
	lease, err := b.broker.Issue(ctx, req.Storage, s.Source)
	if err != nil {
		return nil, explainRefusal(err, s, req.MountPoint)
	}
	// A second less than the session, because Vault's clock for the lease starts a moment later. That leaves a second at least: a
	// TTL of 0 would stand for the mount's default.
	left := lease.Left.Truncate(time.Second) - time.Second
	if ttl > left {
		ttl = left
		warnings = append(warnings, fmt.Sprintf("the lease expires with its session, in %s", left))
	}
	data := map[string]any{
		fieldAccessToken:      lease.Token,
		fieldTokenType:        lease.TokenType,
		settings.FieldBaseURL: s.Source.Endpoint.BaseURL,
		settings.FieldUserID:  s.Source.UserID,
		fieldSessionID:        lease.SessionID,
		fieldExpiresAt:        lease.ExpiresAt.UTC().Format(time.RFC3339),
	}
	if roleName != "" {
		data[fieldRole] = roleName
	}
	resp := b.Secret(secretSessionType).Response(data, internalData(lease, ttl, roleName))
	resp.Secret.TTL = ttl
	resp.Secret.MaxTTL = left
	if s.MaxTTL > 0 {
		resp.Secret.MaxTTL = min(left, s.MaxTTL)
	}
	// Only if a renewal can make it longer. Vault Agent renews what is renewable to its very end, and reads anew only
	// then.
	resp.Secret.Renewable = ttl < min(resp.Secret.MaxTTL, b.System().MaxLeaseTTL())
	if asked > 0 { // Whoever asked for nothing got what there is.
		for _, w := range warnings {
			resp.AddWarning(w)
		}
	}
	return resp, nil
}

// askedTTL returns the TTL that the reader asks for, or 0.
func askedTTL(d *framework.FieldData) (time.Duration, error) {
	raw, sent := d.Raw[settings.FieldTTL]
	if !sent {
		return 0, nil
	}
	asked, err := wholeSeconds(settings.FieldTTL, raw)
	if err != nil {
		return 0, err
	}
	if asked < time.Second {
		return 0, settings.BadField(settings.FieldTTL, "must be at least 1s; leave it out for the configured one")
	}
	return asked, nil
}

// explainRefusal tells the operator what Workfront may have refused. How it words that is not documented, so the
// candidates are all that went into the exchange.
func explainRefusal(err error, r *settings.Resolved, mount string) error {
	var refused *workfront.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%w; compare client_id, client_secret, customer_id and user_id of %sconfig with the OAuth2 application in Workfront, "+
		"and check that it has the certificate of %skeys/%s among its public keys, added by that user", refused, mount, mount, r.KeyName)
}

// internalData is what Vault keeps with the lease and hands back for its renewal and revocation.
func internalData(lease *session.Lease, ttl time.Duration, roleName string) map[string]any {
	return map[string]any{
		internalVersion: leaseVersion,
		internalSession: lease.SessionID,
		internalLease:   lease.ID,
		internalBaseURL: lease.BaseURL,
		internalTTL:     ttl.String(),
		internalRole:    roleName,
	}
}

const tokenDescription = `
Signs a JWT, exchanges it at Workfront, and returns the access token under a
lease. Send it in the header sessionID:

  $ vault read workfront/token
  $ vault read workfront/token/reports ttl=10m
  $ curl -H "sessionID: $ACCESS_TOKEN" \
      https://acme.my.workfront.com/attask/api/v22.0/user/search

Reading is the usual way. Clients that send parameters by writing, such as Vault
Agent for {{ with secret "workfront/token" "ttl=5m" }}, may write the path
instead; their policies need "update" for that.

Each read starts a session of its own, unless share_session is set: then all
readers get the same session, each with a lease of its own. When the last lease
on a session ends or is revoked, the session is logged out. A lease never
outlives its session.
`
