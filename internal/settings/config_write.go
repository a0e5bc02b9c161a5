package settings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/vault/sdk/logical"
)

// ConfigWrite is a request to change config.
type ConfigWrite struct {
	Changes Changes
	Patch   bool // config has to exist
	// Verify proves the new settings before they are stored; nil if they are to be stored unproven. It may be called
	// twice.
	Verify func(ctx context.Context, r *Resolved) error
}

// proof is what was verified.
type proof struct {
	config Config
	key    *Key
}

// errOvertaken says that what was verified is no longer what would be stored.
var errOvertaken = errors.New("the settings were changed while they were being verified")

// WriteConfig merges the changes into config and stores the outcome, or nothing. It returns warnings of what is still
// missing for a token. Nothing is held while the new settings are verified, so others may change config or its key
// meanwhile: then what comes of both is verified once more. If that is overtaken, too, the error is a *BusyError.
func (s *Store) WriteConfig(ctx context.Context, storage logical.Storage, mount Mount, w ConfigWrite) (warnings []string, err error) {
	for range 2 {
		var proven *proof
		if w.Verify != nil {
			if proven, err = prove(ctx, storage, mount, w); err != nil {
				return nil, err
			}
		}
		warnings, err = s.storeConfig(ctx, storage, mount, w, proven)
		if !errors.Is(err, errOvertaken) {
			return warnings, err
		}
	}
	return nil, &BusyError{"not stored: config or its key was changed by other requests while the new settings were being verified; try again"}
}

// prove verifies what the changes would make of config.
func prove(ctx context.Context, storage logical.Storage, mount Mount, w ConfigWrite) (*proof, error) {
	_, c, _, err := mergeConfig(ctx, storage, w)
	if err != nil {
		return nil, err
	}
	p := &proof{config: *c}
	effective := c.WithDefaults()
	err = effective.CheckIDs()
	var r *Resolved
	if err == nil {
		r, err = ResolveConfig(ctx, storage, mount, effective, "")
	}
	if err == nil {
		p.key, err = loadKey(ctx, storage, effective.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("not stored, because it cannot be verified: %w", err)
	}
	return p, w.Verify(ctx, r)
}

// mergeConfig returns what is stored and what the changes make of it, without storing it.
func mergeConfig(ctx context.Context, storage logical.Storage, w ConfigWrite) (base, changed *Config, replaces bool, err error) {
	stored, err := getConfig(ctx, storage)
	base, replaces, err = toChange(stored, err, w.Patch)
	if err != nil {
		return nil, nil, false, err
	}
	changed, err = base.change(w.Changes)
	return base, changed, replaces, err
}

// storeConfig stores what the changes make of config, if that is what was proven.
func (s *Store) storeConfig(
	ctx context.Context, storage logical.Storage, mount Mount, w ConfigWrite, proven *proof,
) (warnings []string, err error) {
	if err := s.admin.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.admin.release()
	base, c, replaces, err := mergeConfig(ctx, storage, w)
	if err != nil {
		return nil, err
	}
	if proven != nil {
		if err := proven.check(ctx, storage, c); err != nil {
			return nil, err
		}
	}
	if c.SecretID == "" || c.ClientSecret != base.ClientSecret {
		c.SecretID = rand.Text()
	}
	c.Version = storageVersion
	if err := s.write(ctx, func(ctx context.Context) error { return putJSON(ctx, storage, ConfigKey, c) }); err != nil {
		return nil, err
	}
	if replaces {
		warnings = append(warnings, replacedDamaged)
	}
	missing, err := s.configWarnings(ctx, storage, mount, c.WithDefaults())
	return append(warnings, missing...), err
}

// check compares what was proven with what is about to be stored.
func (p *proof) check(ctx context.Context, storage logical.Storage, c *Config) error {
	key, err := loadKey(ctx, storage, c.WithDefaults().Key)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(p.config, *c) || key == nil || !p.key.Certificate.Equal(key.Certificate) {
		return errOvertaken
	}
	return nil
}

// configWarnings is what is still missing for a token.
func (s *Store) configWarnings(ctx context.Context, storage logical.Storage, mount Mount, c Config) ([]string, error) {
	warnings, err := s.KeyWarnings(ctx, storage, mount, c.Key)
	if c.UserID == "" {
		warnings = append(warnings, "No user_id is set, so token cannot be read yet, and of the roles only those that name one.")
	}
	return append(warnings, idWarnings(namedID{FieldCustomerID, c.CustomerID}, namedID{FieldUserID, c.UserID})...), err
}
