package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// Where config, keys and roles are in storage. The first two are seal-wrapped.
const (
	configKey = "config"
	keyPrefix = "keys/"
	// rolePrefix is not seal-wrapped: a role holds nothing secret.
	rolePrefix = "roles/"
)

// storageVersion is the version of the forms below.
const storageVersion = 1

// config is the connection, and the defaults of every token. A zero value stands for the default, which can so
// change with the plugin without every mount having to be written anew.
type config struct {
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

const (
	defaultKey            = "default"
	defaultJWTTTL         = 3 * time.Minute
	defaultSessionTTL     = 30 * time.Minute
	defaultAPIVersion     = "v22.0"
	defaultRequestTimeout = 10 * time.Second
	defaultMaxRetries     = 2
)

// withDefaults returns c with every default that it stands for.
func (c config) withDefaults() config {
	setDefault(&c.Key, defaultKey)
	setDefault(&c.JWTTTL, defaultJWTTTL)
	setDefault(&c.SessionTTL, defaultSessionTTL)
	setDefault(&c.APIVersion, defaultAPIVersion)
	setDefault(&c.RequestTimeout, defaultRequestTimeout)
	if c.MaxRetries == nil {
		n := defaultMaxRetries
		c.MaxRetries = &n
	}
	return c
}

func setDefault[T comparable](target *T, value T) {
	if zero := *new(T); *target == zero {
		*target = value
	}
}

// getConfig returns the config, or nil if the mount has none.
func getConfig(ctx context.Context, s logical.Storage) (*config, error) {
	return getJSON[config](ctx, s, configKey)
}

func putConfig(ctx context.Context, s logical.Storage, c *config) error {
	c.Version = storageVersion
	return putJSON(ctx, s, configKey, c)
}

// role is one consumer. A zero value stands for what config says.
type role struct {
	Version      int           `json:"version"`
	UserID       string        `json:"user_id,omitempty"`
	Key          string        `json:"key,omitempty"`
	TTL          time.Duration `json:"ttl,omitempty"`
	MaxTTL       time.Duration `json:"max_ttl,omitempty"`
	ShareSession *bool         `json:"share_session,omitempty"` // false is not "as config"
	Description  string        `json:"description,omitempty"`
}

// over returns c with what the role says instead.
func (r role) over(c config) config {
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

// getRole returns the role of that name, or nil.
func getRole(ctx context.Context, s logical.Storage, name string) (*role, error) {
	return getJSON[role](ctx, s, rolePrefix+name)
}

func putRole(ctx context.Context, s logical.Storage, name string, r *role) error {
	r.Version = storageVersion
	return putJSON(ctx, s, rolePrefix+name, r)
}

// Where a key came from.
const (
	sourceGenerated = "generated"
	sourceImported  = "imported"
)

// storedKey is a signing key in storage.
type storedKey struct {
	Version     int       `json:"version"`
	PrivateKey  string    `json:"private_key"` // PKCS#8 PEM
	Certificate string    `json:"certificate"` // PEM
	Source      string    `json:"source"`
	CreatedAt   time.Time `json:"created_at"`
}

// parse returns the key itself.
func (k *storedKey) parse() (*signingkey.Key, error) {
	private, err := signingkey.ParsePrivateKey(k.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("stored private key %w", err)
	}
	key, err := signingkey.ParseCertificate(k.Certificate, private)
	if err != nil {
		return nil, fmt.Errorf("stored certificate %w", err)
	}
	return key, nil
}

// getKey returns the key of that name, or nil.
func getKey(ctx context.Context, s logical.Storage, name string) (*storedKey, error) {
	return getJSON[storedKey](ctx, s, keyPrefix+name)
}

func putKey(ctx context.Context, s logical.Storage, name string, k *storedKey) error {
	k.Version = storageVersion
	return putJSON(ctx, s, keyPrefix+name, k)
}

func getJSON[T any](ctx context.Context, s logical.Storage, key string) (*T, error) {
	entry, err := s.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if entry == nil {
		return nil, nil
	}
	value := new(T)
	if err := entry.DecodeJSON(value); err != nil {
		return nil, fmt.Errorf("decode %s: %w", key, err)
	}
	return value, nil
}

func putJSON(ctx context.Context, s logical.Storage, key string, value any) error {
	entry, err := logical.StorageEntryJSON(key, value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := s.Put(ctx, entry); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
