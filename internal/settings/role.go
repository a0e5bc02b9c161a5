package settings

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// Role is one consumer. A zero value stands for what config says.
type Role struct {
	Version      int           `json:"version"`
	UserID       string        `json:"user_id,omitempty"`
	Key          string        `json:"key,omitempty"`
	TTL          time.Duration `json:"ttl,omitempty"`
	MaxTTL       time.Duration `json:"max_ttl,omitempty"`
	ShareSession *bool         `json:"share_session,omitempty"` // false is not "as config"
	Description  string        `json:"description,omitempty"`
}

// over returns c with what the role says instead.
func (r Role) over(c Config) Config {
	for _, f := range []struct{ own, target *string }{{&r.UserID, &c.UserID}, {&r.Key, &c.Key}} {
		if *f.own != "" {
			*f.target = *f.own
		}
	}
	for _, f := range []struct{ own, target *time.Duration }{{&r.TTL, &c.TTL}, {&r.MaxTTL, &c.MaxTTL}} {
		if *f.own != 0 {
			*f.target = *f.own
		}
	}
	if r.ShareSession != nil {
		c.ShareSession = *r.ShareSession
	}
	return c
}

// Role returns the role of that name, or nil.
func (s *Store) Role(ctx context.Context, storage logical.Storage, name string) (*Role, error) {
	return getRole(ctx, storage, name)
}

func getRole(ctx context.Context, s logical.Storage, name string) (*Role, error) {
	return getJSON[Role](ctx, s, RolePrefix+name)
}

// RoleWrite is a request to change a role.
type RoleWrite struct {
	Changes Changes
	Patch   bool // the role has to exist
}

// WriteRole merges the changes into a role and stores the outcome, or nothing. It returns warnings of what is likely
// to be missing for a token.
func (s *Store) WriteRole(
	ctx context.Context, storage logical.Storage, mount Mount, name string, w RoleWrite,
) (warnings []string, err error) {
	if err := s.admin.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.admin.release()
	stored, err := getRole(ctx, storage, name)
	r, replaces, err := toChange(stored, err, w.Patch)
	if err != nil {
		return nil, err
	}
	if err := r.change(w.Changes); err != nil {
		return nil, err
	}
	r.Version = storageVersion
	if err := s.write(ctx, func(ctx context.Context) error { return putJSON(ctx, storage, RolePrefix+name, r) }); err != nil {
		return nil, err
	}
	if replaces {
		warnings = append(warnings, replacedDamaged)
	}
	missing, err := s.roleWarnings(ctx, storage, mount, r)
	return append(warnings, missing...), err
}

func (r *Role) change(changes Changes) error {
	err := changes.apply(map[string]setter{
		FieldUserID:       setUserID(&r.UserID),
		FieldKey:          setText(FieldKey, &r.Key, maxIDLength, false),
		FieldTTL:          setDuration(FieldTTL, &r.TTL, 0, MaxDuration),
		FieldMaxTTL:       setDuration(FieldMaxTTL, &r.MaxTTL, 0, MaxDuration),
		FieldShareSession: setOptionalBool(&r.ShareSession),
		FieldDescription:  setText(FieldDescription, &r.Description, maxIDLength, false),
	})
	if err != nil {
		return err
	}
	if r.Key != "" {
		if err := CheckName(FieldKey, r.Key); err != nil {
			return err
		}
	}
	return checkTTLs(r.TTL, r.MaxTTL)
}

// roleWarnings is what is likely to be missing.
func (s *Store) roleWarnings(ctx context.Context, storage logical.Storage, mount Mount, r *Role) ([]string, error) {
	warnings := idWarnings(namedID{FieldUserID, r.UserID})
	if r.Key != "" {
		ofKey, err := s.KeyWarnings(ctx, storage, mount, r.Key)
		return append(warnings, ofKey...), err
	}
	if r.UserID != "" {
		warnings = append(warnings, "The role sets user_id but no key. Workfront ties a public key to the user who added it, so the key of "+
			"config works for this user only if the user has added its certificate, too.")
	}
	return warnings, nil
}

// RoleExists tells whether there is a role of that name, be it readable or not.
func (s *Store) RoleExists(ctx context.Context, storage logical.Storage, name string) (bool, error) {
	return exists(ctx, storage, RolePrefix+name)
}

// DeleteRole deletes a role. It need not exist, nor be readable.
func (s *Store) DeleteRole(ctx context.Context, storage logical.Storage, name string) error {
	if err := s.admin.acquire(ctx); err != nil {
		return err
	}
	defer s.admin.release()
	return s.write(ctx, func(ctx context.Context) error { return remove(ctx, storage, RolePrefix+name) })
}
