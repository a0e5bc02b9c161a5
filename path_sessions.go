package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
)

const (
	sessionsPath = "sessions/"
	// maxKeyInfo is up to how many sessions are listed with key information, which costs a read of each.
	maxKeyInfo = 1000
)

func (b *backend) pathSessionsList() *framework.Path {
	return &framework.Path{
		Pattern:      "sessions/?$",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "sessions", Navigation: true, ItemType: "Session"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{
				Callback: b.listSessions,
				Summary:  "List the live sessions that this mount started, and those that are still to be logged out.",
				Responses: ok("The sessions.", map[string]*framework.FieldSchema{
					fieldKeys:    {Type: framework.TypeStringSlice, Description: "IDs of the sessions."},
					fieldKeyInfo: {Type: framework.TypeMap, Description: "What sessions/:id says of each; only if there are 1,000 at most."},
				}),
			},
		},
		HelpSynopsis:    `List the live sessions that this mount started.`,
		HelpDescription: sessionsListDescription,
	}
}

func (b *backend) pathSessions() *framework.Path {
	return &framework.Path{
		Pattern:      "sessions/" + `(?P<` + fieldID + `>[^/]+)`,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "session", ItemType: "Session"},
		Fields: map[string]*framework.FieldSchema{
			fieldID: {
				Type:         framework.TypeString,
				Description:  "ID of the session: the session_id of a token.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Session ID", Identifier: true},
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.readSession,
				Summary:   "Read what is known of a session, without its token.",
				Responses: ok("The session.", sessionAnswerFields()),
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.deleteSession,
				Summary:                     "Log a session out at Workfront now, whoever leases it.",
				Responses:                   noContent(),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		HelpSynopsis:    `Read a session, or log it out now.`,
		HelpDescription: sessionsDescription,
	}
}

func sessionAnswerFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		fieldRole:             {Type: framework.TypeString, Description: "Role that the session was started for; empty for the defaults of config."},
		settings.FieldUserID:  {Type: framework.TypeString, Description: "ID of the Workfront user whose session it is."},
		settings.FieldBaseURL: {Type: framework.TypeString, Description: "Address of the Workfront that issued it."},
		fieldIssuedAt:         {Type: framework.TypeTime, Description: "When it was started."},
		fieldExpiresAt:        {Type: framework.TypeTime, Description: "When it ends by itself."},
		fieldStated:           {Type: framework.TypeBool, Description: "Whether Workfront stated that end, or it is assumed (session_ttl)."},
		fieldLeases:           {Type: framework.TypeInt, Description: "How many leases hold it."},
		fieldState:            {Type: framework.TypeString, Description: "active, or logout_pending: it could not be logged out yet and is tried again."},
	}
}

func (b *backend) listSessions(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	ids, err := b.broker.IDs(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if len(ids) > maxKeyInfo {
		return logical.ListResponse(ids), nil
	}
	var live []string
	info := make(map[string]any, len(ids))
	for _, id := range ids {
		r, err := b.broker.Session(ctx, req.Storage, id)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue // it ended meanwhile
		}
		if info[id], err = b.describeSession(ctx, req.Storage, r); err != nil {
			return nil, err
		}
		live = append(live, id)
	}
	return logical.ListResponseWithInfo(live, info), nil
}

func (b *backend) describeSession(ctx context.Context, s logical.Storage, r *session.Record) (map[string]any, error) {
	leases, err := b.broker.Leases(ctx, s, r)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		fieldRole:             r.Role,
		settings.FieldUserID:  r.UserID,
		settings.FieldBaseURL: r.Endpoint.BaseURL,
		fieldIssuedAt:         r.IssuedAt.UTC().Format(time.RFC3339),
		fieldExpiresAt:        r.ExpiresAt.UTC().Format(time.RFC3339),
		fieldStated:           r.Stated,
		fieldLeases:           leases,
		fieldState:            string(r.State),
	}, nil
}

func (b *backend) readSession(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	id := d.Get(fieldID).(string)
	if err := settings.CheckName(fieldID, id); err != nil {
		return nil, err
	}
	r, err := b.broker.Session(ctx, req.Storage, id)
	if err != nil || r == nil {
		return nil, err
	}
	data, err := b.describeSession(ctx, req.Storage, r)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: data}, nil
}

func (b *backend) deleteSession(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	id := d.Get(fieldID).(string)
	if err := settings.CheckName(fieldID, id); err != nil {
		return nil, err
	}
	if err := b.broker.Terminate(ctx, req.Storage, id); err != nil {
		return nil, fmt.Errorf("not logged out yet: %w; unless the session is gone from %ssessions, it is kept as logout_pending and tried again", err, req.MountPoint)
	}
	return nil, nil
}

const (
	sessionsListDescription = `
Every session that this mount started and that has not ended, with the role and
user it is for, its end, the number of its leases, and its state. A session that
could not be logged out is kept as logout_pending and tried again.

  $ vault list -detailed workfront/sessions
`
	sessionsDescription = `
Reads what is known of a session. Its token is not part of it.

Deleting a session logs it out at Workfront now, for example because its token
was seen where it should not be. Leases on it can be revoked as usual
afterwards.

  $ vault read workfront/sessions/<session_id>
  $ vault delete workfront/sessions/<session_id>
`
)
