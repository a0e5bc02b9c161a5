package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
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
				Summary:  "List the live sessions that this mount started, and those whose logout is pending.",
				Responses: ok("The sessions.", map[string]*framework.FieldSchema{
					fieldKeys:    {Type: framework.TypeStringSlice, Description: "IDs of the sessions."},
					fieldKeyInfo: {Type: framework.TypeMap, Description: "The fields of sessions/:id for each. Only up to 1,000 sessions."},
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
				Summary:   "Read a session, without its token.",
				Responses: ok("The session.", sessionAnswerFields()),
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.deleteSession,
				Summary:                     "Log a session out at Workfront now, regardless of its leases.",
				Responses:                   written("Logged out, or not there."),
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
		fieldRole:             {Type: framework.TypeString, Description: "Role that the session was started for. Empty for the defaults of config."},
		settings.FieldUserID:  {Type: framework.TypeString, Description: "ID of the Workfront user."},
		settings.FieldBaseURL: {Type: framework.TypeString, Description: "Workfront host that issued the session."},
		fieldIssuedAt:         {Type: framework.TypeTime, Description: "When the session was started."},
		fieldExpiresAt:        {Type: framework.TypeTime, Description: "When the session expires."},
		fieldStated:           {Type: framework.TypeBool, Description: "Whether Workfront stated that time, or it is assumed (session_ttl)."},
		fieldLeases:           {Type: framework.TypeInt, Description: "Number of leases on the session."},
		fieldState: {
			Type: framework.TypeString,
			Description: "active; gone: Workfront does not know it any more; logout_pending: not logged out yet, will retry; damaged: the storage entry cannot be read; " +
				"newer: a newer version of the plugin wrote it.",
		},
		fieldPendingSince: {Type: framework.TypeTime, Description: "When the first attempt to log the session out failed. Omitted before that, and for other states."},
		fieldError:        {Type: framework.TypeString, Description: "Why the storage entry cannot be read. Omitted for other states."},
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
		described, err := b.describeSession(ctx, req.Storage, id)
		if err != nil {
			return nil, err
		}
		if described == nil {
			continue // it was ended meanwhile
		}
		info[id] = described
		live = append(live, id)
	}
	return logical.ListResponseWithInfo(live, info), nil
}

// The states of a session whose entry cannot be read. The others are those of the ledger.
const (
	statePending = "logout_pending" // of a session that is being logged out, or will be
	stateDamaged = "damaged"
	stateNewer   = "newer"
)

// shownState returns the state of a session as it is shown.
func shownState(s *ledger.Session) string {
	if s.State == ledger.StateEnding {
		return statePending
	}
	return string(s.State)
}

// describeSession returns what is known of a session, or nil if there is none. One that cannot be read is shown as such, so
// that it stops nobody from seeing the others.
func (b *backend) describeSession(ctx context.Context, storage logical.Storage, id string) (map[string]any, error) {
	s, err := b.broker.Session(ctx, storage, id)
	leases := 0
	if s != nil {
		leases, err = b.broker.Leases(ctx, storage, s)
	}
	var damaged *ledger.DamagedError
	var newer *ledger.NewerError
	switch {
	case errors.As(err, &damaged):
		return map[string]any{fieldState: stateDamaged, fieldError: err.Error()}, nil
	case errors.As(err, &newer):
		return map[string]any{fieldState: stateNewer, fieldError: err.Error()}, nil
	case err != nil || s == nil:
		return nil, err
	}
	described := map[string]any{
		fieldRole:             s.Role,
		settings.FieldUserID:  s.UserID,
		settings.FieldBaseURL: s.Endpoint.BaseURL,
		fieldIssuedAt:         s.IssuedAt.UTC().Format(time.RFC3339),
		fieldExpiresAt:        s.ExpiresAt.UTC().Format(time.RFC3339),
		fieldStated:           s.Stated,
		fieldLeases:           leases,
		fieldState:            shownState(s),
	}
	if !s.PendingSince.IsZero() {
		described[fieldPendingSince] = s.PendingSince.UTC().Format(time.RFC3339)
	}
	return described, nil
}

func (b *backend) readSession(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	id := d.Get(fieldID).(string)
	if err := settings.CheckName(fieldID, id); err != nil {
		return nil, err
	}
	data, err := b.describeSession(ctx, req.Storage, id)
	if err != nil || data == nil {
		return nil, err
	}
	return &logical.Response{Data: data}, nil
}

func (b *backend) deleteSession(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	id := d.Get(fieldID).(string)
	if err := settings.CheckName(fieldID, id); err != nil {
		return nil, err
	}
	unreadable, err := b.broker.Terminate(ctx, req.Storage, id)
	if err != nil {
		return nil, fmt.Errorf("session %s is not logged out yet: %w; if %ssessions/%s shows it as logout_pending, the plugin will retry",
			id, err, req.MountPoint, id)
	}
	resp := &logical.Response{}
	if unreadable {
		resp.AddWarning("The storage entry of this session could not be read and was deleted. The session was not logged out: " +
			"it stays alive in Workfront until it expires.")
	}
	return resp, nil
}

const (
	sessionsListDescription = `
Lists every live session that this mount started, with its role and user, its
expiry, the number of its leases, and its state. A session that could not be
logged out stays listed as logout_pending, and the plugin retries the logout.
A shared session that Workfront does not know any more is gone: it is issued no
more, and ends with its last lease.

  $ vault list -detailed workfront/sessions
`
	sessionsDescription = `
Reads a session. The token is never part of the response.

Deleting a session logs it out at Workfront now, for example because its token
has leaked. The logout is carried out or pending even if the command is
interrupted. Leases on the session can be revoked as usual afterwards.

  $ vault read workfront/sessions/<session_id>
  $ vault delete workfront/sessions/<session_id>
`
)
