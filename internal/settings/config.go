package settings

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// Config is the connection, and the defaults of every token. A zero value stands for the default, which can so
// change with the plugin without every mount having to be written anew.
type Config struct {
	Version         int           `json:"version"`
	BaseURL         string        `json:"base_url"`
	ClientID        string        `json:"client_id"`
	ClientSecret    string        `json:"client_secret"`
	CustomerID      string        `json:"customer_id"`
	UserID          string        `json:"user_id,omitempty"`
	Key             string        `json:"key,omitempty"`
	TTL             time.Duration `json:"ttl,omitempty"`
	MaxTTL          time.Duration `json:"max_ttl,omitempty"`
	ShareSession    bool          `json:"share_session,omitempty"`
	JWTTTL          time.Duration `json:"jwt_ttl,omitempty"`
	SessionTTL      time.Duration `json:"session_ttl,omitempty"`
	APIVersion      string        `json:"api_version,omitempty"`
	RequestTimeout  time.Duration `json:"request_timeout,omitempty"`
	MaxRetries      *int          `json:"max_retries,omitempty"` // 0 is not the default
	CACert          string        `json:"ca_cert,omitempty"`
	AllowCustomHost bool          `json:"allow_custom_host,omitempty"`
}

// The defaults of config.
const (
	DefaultKey            = "default"
	DefaultJWTTTL         = 3 * time.Minute
	DefaultSessionTTL     = 30 * time.Minute
	DefaultAPIVersion     = "v22.0"
	DefaultRequestTimeout = 10 * time.Second
	DefaultMaxRetries     = 2
)

// WithDefaults returns c with every default that it stands for.
func (c Config) WithDefaults() Config {
	setDefault(&c.Key, DefaultKey)
	setDefault(&c.JWTTTL, DefaultJWTTTL)
	setDefault(&c.SessionTTL, DefaultSessionTTL)
	setDefault(&c.APIVersion, DefaultAPIVersion)
	setDefault(&c.RequestTimeout, DefaultRequestTimeout)
	if c.MaxRetries == nil {
		n := DefaultMaxRetries
		c.MaxRetries = &n
	}
	return c
}

func setDefault[T comparable](target *T, value T) {
	if zero := *new(T); *target == zero {
		*target = value
	}
}

// Config returns the config with its defaults, or nil if the mount has none.
func (s *Store) Config(ctx context.Context, storage logical.Storage) (*Config, error) {
	stored, err := getConfig(ctx, storage)
	if err != nil || stored == nil {
		return nil, err
	}
	c := stored.WithDefaults()
	return &c, nil
}

// getConfig returns the config as it is stored, or nil.
func getConfig(ctx context.Context, s logical.Storage) (*Config, error) {
	return getJSON[Config](ctx, s, ConfigKey)
}

// ErrNotFound says that what a patch is for does not exist.
var ErrNotFound = errors.New("not found")

// ConfigWrite is a request to change config.
type ConfigWrite struct {
	Changes Changes
	Patch   bool // config has to exist
	// Verify proves the new settings before they are stored; nil if they are to be stored unproven.
	Verify func(ctx context.Context, r *Resolved) error
}

// WriteConfig merges the changes into config and stores the outcome, or nothing. It returns warnings of what is still
// missing for a token.
func (s *Store) WriteConfig(ctx context.Context, storage logical.Storage, mount Mount, w ConfigWrite) (warnings []string, err error) {
	s.admin.Lock()
	defer s.admin.Unlock()
	old, err := getConfig(ctx, storage)
	if err != nil {
		return nil, err
	}
	if old == nil {
		if w.Patch {
			return nil, fmt.Errorf("config: %w", ErrNotFound)
		}
		old = &Config{}
	}
	c, err := old.change(w.Changes)
	if err != nil {
		return nil, err
	}
	if w.Verify != nil {
		if err := verify(ctx, storage, mount, *c, w.Verify); err != nil {
			return nil, err
		}
	}
	err = s.write(ctx, func(ctx context.Context) error {
		c.Version = storageVersion
		return putJSON(ctx, storage, ConfigKey, c)
	})
	if err != nil {
		return nil, err
	}
	return s.configWarnings(ctx, storage, mount, c.WithDefaults())
}

// verify proves c before it is stored.
func verify(ctx context.Context, storage logical.Storage, mount Mount, c Config, prove func(context.Context, *Resolved) error) error {
	err := c.CheckIDs()
	var r *Resolved
	if err == nil {
		r, err = ResolveConfig(ctx, storage, mount, c.WithDefaults(), "")
	}
	if err != nil {
		return fmt.Errorf("not stored, because it cannot be verified: %w", err)
	}
	return prove(ctx, r)
}

// configWarnings is what is still missing for a token.
func (s *Store) configWarnings(ctx context.Context, storage logical.Storage, mount Mount, c Config) ([]string, error) {
	key, err := getKey(ctx, storage, c.Key)
	if err != nil {
		return nil, err
	}
	var warnings []string
	if key == nil {
		warnings = append(warnings, missingKey(mount, c.Key))
	}
	if c.UserID == "" {
		warnings = append(warnings, "No user_id is set, so token cannot be read yet, and of the roles only those that name one.")
	}
	expiry, err := s.expiryWarning(key, c.Key)
	return append(warnings, expiry...), err
}

// DeleteConfig deletes config, and the client secret with it. It need not exist.
func (s *Store) DeleteConfig(ctx context.Context, storage logical.Storage) error {
	s.admin.Lock()
	defer s.admin.Unlock()
	return s.write(ctx, func(ctx context.Context) error { return remove(ctx, storage, ConfigKey) })
}
