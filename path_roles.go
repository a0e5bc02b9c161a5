package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
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
			logical.PatchOperation:  write(b.patchRole, "Change some fields of a role; null has config decide again."),
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.readRole,
				Summary:   "Read a role: what it says itself, without what config gives.",
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
		fieldName: {
			Type:         framework.TypeString,
			Description:  "Name of the role: letters, digits, _, - and single dots inside, 48 characters at most.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Name", Identifier: true},
		},
		fieldUserID: {
			Type:         framework.TypeString,
			Description:  "ID of the Workfront user whose session is lent out. Such a role usually needs a key that this user added.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "User ID"},
		},
		fieldKey: {
			Type:         framework.TypeString,
			Description:  "Name of the signing key, under keys/.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
		},
		fieldTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Life of a lease, if the reader asks for none. 0 is what config says.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Lease TTL"},
		},
		fieldMaxTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Longest life of a lease, renewals included. 0 is what config says.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Maximum lease TTL"},
		},
		fieldShareSession: {
			Type:         framework.TypeBool,
			Description:  "Give all readers of the role the same session, each with a lease of its own.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Share the session"},
		},
		fieldDescription: {
			Type:         framework.TypeString,
			Description:  "What the role is for, 256 characters at most.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Description"},
		},
	}
}

// roleAnswerFields are the fields of a read: what the role says itself.
func roleAnswerFields() map[string]*framework.FieldSchema {
	fields := roleFields()
	delete(fields, fieldName)
	return fields
}

func (b *backend) roleExists(ctx context.Context, req *logical.Request, d *framework.FieldData) (bool, error) {
	name := d.Get(fieldName).(string)
	if checkName(fieldName, name) != nil {
		return false, nil // storage would refuse some names; the write says what is wrong with them
	}
	r, err := getRole(ctx, req.Storage, name)
	return r != nil, err
}

func (b *backend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, rolePrefix)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return logical.ListResponse(names), nil
}

func (b *backend) writeRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return b.changeRole(ctx, req, d, func() (*role, error) { return &role{}, nil })
}

func (b *backend) patchRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return b.changeRole(ctx, req, d, func() (*role, error) {
		return nil, logical.CodedError(http.StatusNotFound, "there is no such role to patch; use `vault write` to make it")
	})
}

// changeRole merges the request into the role, or into what absent returns, and stores the outcome, or nothing.
func (b *backend) changeRole(ctx context.Context, req *logical.Request, d *framework.FieldData, absent func() (*role, error)) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	r, err := getRole(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if r, err = absent(); err != nil {
			return nil, err
		}
	}
	if err := merge(req, d, map[string]setter{
		fieldUserID:       setText(fieldUserID, &r.UserID, maxIDLength, false),
		fieldKey:          setText(fieldKey, &r.Key, maxIDLength, false),
		fieldTTL:          setDuration(fieldTTL, &r.TTL, 0, maxDuration),
		fieldMaxTTL:       setDuration(fieldMaxTTL, &r.MaxTTL, 0, maxDuration),
		fieldShareSession: setOptionalBool(&r.ShareSession),
		fieldDescription:  setText(fieldDescription, &r.Description, maxIDLength, false),
	}); err != nil {
		return nil, err
	}
	if r.Key != "" {
		if err := checkName(fieldKey, r.Key); err != nil {
			return nil, err
		}
	}
	if err := checkTTLs(r.TTL, r.MaxTTL); err != nil {
		return nil, err
	}
	if err := putRole(ctx, req.Storage, name, r); err != nil {
		return nil, err
	}
	b.settingsChanged()
	b.endUnshared(ctx, req.Storage)
	b.event(ctx, eventRoleWrite, "path", rolePrefix+name)
	return roleWarnings(ctx, req, r)
}

// roleWarnings is the answer to a write: what is likely to be missing.
func roleWarnings(ctx context.Context, req *logical.Request, r *role) (*logical.Response, error) {
	resp := &logical.Response{}
	if r.UserID != "" && r.Key == "" {
		resp.AddWarning("The role names a user_id but no key. Workfront ties a public key to the user who added it, so the key that config names " +
			"works for this user only if the user has added its certificate, too.")
	}
	if r.Key != "" {
		key, err := getKey(ctx, req.Storage, r.Key)
		if err != nil {
			return nil, err
		}
		if key == nil {
			resp.AddWarning(missingKey(req, r.Key))
		}
	}
	return resp, nil
}

func (b *backend) readRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	r, err := getRole(ctx, req.Storage, name)
	if err != nil || r == nil {
		return nil, err
	}
	data := map[string]any{
		fieldUserID:      r.UserID,
		fieldKey:         r.Key,
		fieldTTL:         int64(r.TTL.Seconds()),
		fieldMaxTTL:      int64(r.MaxTTL.Seconds()),
		fieldDescription: r.Description,
	}
	if r.ShareSession != nil {
		data[fieldShareSession] = *r.ShareSession
	}
	return &logical.Response{Data: data}, nil
}

func (b *backend) deleteRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	if err := req.Storage.Delete(ctx, rolePrefix+name); err != nil {
		return nil, fmt.Errorf("delete role %s: %w", name, err)
	}
	b.settingsChanged()
	b.endUnshared(ctx, req.Storage)
	b.event(ctx, eventRoleDelete, "path", rolePrefix+name)
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
(share_session). What a role leaves out, config gives. Policies are written for
the path token/:role.

  $ vault write workfront/roles/reports ttl=10m share_session=true

A field that is not sent keeps its value. To have config decide again, patch the
field with null: echo '{"ttl": null}' | vault patch workfront/roles/reports -
A read shows what the role says itself: an empty field, 0 or a share_session
that is left out stand for what config says.

When a role is deleted, its leases can be revoked, but not renewed any more.
`
)
