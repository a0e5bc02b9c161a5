package settings

import (
	"context"
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
	MaxConnections  int           `json:"max_connections,omitempty"`
	// SecretID names the client secret without telling anything of it. It is random, and another one whenever the client
	// secret becomes another one or config is created, so that a session can tell whether config is still that of its
	// start. It is not returned to anyone: an ID that could be chosen or copied would prove nothing.
	SecretID string `json:"secret_id,omitempty"`
}

// The defaults of config.
const (
	DefaultKey            = "default"
	DefaultJWTTTL         = 3 * time.Minute
	DefaultSessionTTL     = 30 * time.Minute
	DefaultAPIVersion     = "v22.0"
	DefaultRequestTimeout = 10 * time.Second
	DefaultMaxRetries     = 2
	DefaultMaxConnections = 8
)

// WithDefaults returns c with every default that it stands for.
func (c Config) WithDefaults() Config {
	setDefault(&c.Key, DefaultKey)
	setDefault(&c.JWTTTL, DefaultJWTTTL)
	setDefault(&c.SessionTTL, DefaultSessionTTL)
	setDefault(&c.APIVersion, DefaultAPIVersion)
	setDefault(&c.RequestTimeout, DefaultRequestTimeout)
	setDefault(&c.MaxConnections, DefaultMaxConnections)
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

// ConfigExists tells whether there is a config, be it readable or not.
func (s *Store) ConfigExists(ctx context.Context, storage logical.Storage) (bool, error) {
	return exists(ctx, storage, ConfigKey)
}

// DeleteConfig deletes config, and the client secret with it. It need not exist, nor be readable.
func (s *Store) DeleteConfig(ctx context.Context, storage logical.Storage) error {
	if err := s.admin.acquire(ctx); err != nil {
		return err
	}
	defer s.admin.release()
	return s.write(ctx, func(ctx context.Context) error { return remove(ctx, storage, ConfigKey) })
}
