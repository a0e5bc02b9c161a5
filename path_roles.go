package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathRolesList() *framework.Path {
	return &framework.Path{
		Pattern:      "roles/?$",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "roles", Navigation: true, ItemType: "Role"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{
				Callback: b.listRoles,
				Summary:  "List the names of the roles.",
				Responses: ok("The names.", map[string]*framework.FieldSchema{
					fieldKeys: {Type: framework.TypeStringSlice, Description: "Names of the roles."},
				}),
			},
		},
		HelpSynopsis:    `List the names of the roles.`,
		HelpDescription: rolesListDescription,
	}
}

func (b *backend) pathRoles() *framework.Path {
	write := func(callback framework.OperationFunc, summary string) *framework.PathOperation {
		return &framework.PathOperation{
			Callback:                    callback,
			Summary:                     summary,
			Responses:                   written("Stored. Fields that were not sent keep their values."),
			ForwardPerformanceStandby:   true,
			ForwardPerformanceSecondary: true,
		}
	}
	create := write(b.writeRole, "Create or change a role.")
	return &framework.Path{
		Pattern:      "roles/" + namePattern,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "role", ItemType: "Role"},
		Fields:       roleFields(),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: create,
			logical.UpdateOperation: create,
			logical.PatchOperation:  write(b.writeRole, "Change some fields of a role; null has the field inherit from config again."),
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.readRole,
				Summary:   "Read a role: what it sets itself, without what it inherits from config.",
				Responses: ok("The role.", roleAnswerFields()),
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.deleteRole,
				Summary:                     "Delete a role. Its leases stay revocable, but cannot be renewed.",
				Responses:                   noContent(),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		ExistenceCheck:  b.roleExists,
		HelpSynopsis:    `Manage a role: one consumer of sessions.`,
		HelpDescription: roleDescription,
	}
}

func roleFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		settings.FieldName: {
			Type:         framework.TypeString,
			Description:  "Name of the role: letters, digits, _ and -, with single dots and @ inside, 63 characters at most.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Name", Identifier: true},
		},
		settings.FieldUserID: {
			Type: framework.TypeString,
			Description: "ID of the Workfront user whose session is issued, or the URL of the user's profile page; 256 characters " +
				"at most. Such a role usually needs a key that this user added.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "User ID"},
		},
		settings.FieldKey: {
			Type:         framework.TypeString,
			Description:  "Name of the signing key, under keys/.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
		},
		settings.FieldTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Default lease TTL. 0 inherits from config. Must not be longer than the max_ttl of the role.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Lease TTL"},
		},
		settings.FieldMaxTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Maximum lease TTL, renewals included. 0 inherits from config.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Maximum lease TTL"},
		},
		settings.FieldShareSession: {
			Type: framework.TypeBool,
			Description: "Give all readers of the role the same session, each with a lease of its own. false is not the same as " +
				"unset, which inherits from config.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Share the session"},
		},
		settings.FieldDescription: {
			Type:         framework.TypeString,
			Description:  "What the role is for, 256 characters at most.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Description"},
		},
	}
}

// roleAnswerFields are the fields of a read: what the role says itself.
func roleAnswerFields() map[string]*framework.FieldSchema {
	fields := roleFields()
	delete(fields, settings.FieldName)
	return fields
}

func (b *backend) roleExists(ctx context.Context, req *logical.Request, d *framework.FieldData) (bool, error) {
	name := d.Get(settings.FieldName).(string)
	if settings.CheckName(settings.FieldName, name) != nil {
		return false, nil // storage would refuse some names; the write says what is wrong with them
	}
	return b.settings.RoleExists(ctx, req.Storage, name)
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := b.settings.Roles(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

// writeRole is create, update and patch: all of them merge.
func (b *backend) writeRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	changes, err := decode(req, d)
	if err != nil {
		return nil, err
	}
	warnings, err := b.settings.WriteRole(ctx, req.Storage, mountOf(req), name,
		settings.RoleWrite{Changes: changes, Patch: req.Operation == logical.PatchOperation})
	if errors.Is(err, settings.ErrNotFound) {
		return nil, logical.CodedError(http.StatusNotFound, "there is no such role to patch; create it with `vault write`")
	}
	if err != nil {
		return nil, err
	}
	b.unshare(ctx, req.Storage, name)
	b.event(ctx, eventRoleWrite, "path", settings.RolePrefix+name)
	return &logical.Response{Warnings: warnings}, nil
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	r, err := b.settings.Role(ctx, req.Storage, name)
	if err != nil || r == nil {
		return nil, err
	}
	data := map[string]any{
		settings.FieldUserID:      r.UserID,
		settings.FieldKey:         r.Key,
		settings.FieldTTL:         int64(r.TTL.Seconds()),
		settings.FieldMaxTTL:      int64(r.MaxTTL.Seconds()),
		settings.FieldDescription: r.Description,
	}
	if r.ShareSession != nil {
		data[settings.FieldShareSession] = *r.ShareSession
	}
	return &logical.Response{Data: data}, nil
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	if err := b.settings.DeleteRole(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	b.unshare(ctx, req.Storage, name)
	b.metrics.ForgetRole(name)
	b.event(ctx, eventRoleDelete, "path", settings.RolePrefix+name)
	return nil, nil
}

const (
	rolesListDescription = `
A role is one consumer: whose session it gets, for how long, shared or not.

  $ vault list workfront/roles
`
	roleDescription = `
A role is one consumer: whose session it gets (user_id and key), for how long
(ttl and max_ttl), and whether all of its readers share one session
(share_session). Unset role fields inherit from config. Policies are written for
the path token/:role.

  $ vault write workfront/roles/reports ttl=10m share_session=true

A field that is not sent keeps its value. To inherit from config again, patch
the field with null:

  $ echo '{"ttl": null}' | vault patch workfront/roles/reports -

A read shows what the role sets itself: an empty field, 0 or a share_session
that is left out inherit from config.

When a role is deleted, its leases can be revoked, but not renewed any more.
`
)
