package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// settings is all that a token read needs, resolved once: config with its defaults, and the parsed key.
type settings struct {
	source  session.Source
	keyName string
	ttl     time.Duration // of a lease; 0: the mount's default
	maxTTL  time.Duration // 0: the mount's
}

// settingsCache keeps settings between reads, because parsing a key takes longer than signing with it. Its zero value
// is empty.
type settingsCache struct {
	mu         sync.Mutex
	current    *settings
	generation uint64 // counts drops, so that what was read before one is not kept after it
}

func (c *settingsCache) get() (current *settings, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.generation
}

// keep takes s, unless there was a drop since get returned generation.
func (c *settingsCache) keep(s *settings, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.current = s
	}
}

func (c *settingsCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
	c.generation++
}

// resolve returns the settings of the mount. What is missing for a token is a *userError that names the command to
// run.
func (b *backend) resolve(ctx context.Context, req *logical.Request) (*settings, error) {
	kept, generation := b.settings.get()
	if kept != nil {
		return kept, nil
	}
	stored, err := getConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	mount := req.MountPoint
	if stored == nil {
		return nil, &userError{fmt.Sprintf("this mount is not configured yet; run `vault write %sconfig base_url=... client_id=... "+
			"client_secret=... customer_id=... user_id=...`", mount)}
	}
	c := stored.withDefaults()
	if c.UserID == "" {
		return nil, &userError{fmt.Sprintf("no user_id is configured, and Workfront starts a session for a user only; "+
			"run `vault write %sconfig user_id=...` with the ID of the user who added the public key", mount)}
	}
	key, err := getKey(ctx, req.Storage, c.Key)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, &userError{fmt.Sprintf("the signing key %q does not exist; run `vault write -f %skeys/%s/generate` and upload "+
			"its certificate to Workfront", c.Key, mount, c.Key)}
	}
	parsed, err := key.parse()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", c.Key, err)
	}
	resolved := &settings{
		source: session.Source{
			Endpoint: session.Endpoint{
				Endpoint:   workfront.Endpoint{BaseURL: c.BaseURL, CACert: c.CACert},
				APIVersion: c.APIVersion,
			},
			ClientID:       c.ClientID,
			ClientSecret:   c.ClientSecret,
			CustomerID:     c.CustomerID,
			UserID:         c.UserID,
			Key:            parsed.Private,
			JWTTTL:         c.JWTTTL,
			SessionTTL:     c.SessionTTL,
			RequestTimeout: c.RequestTimeout,
			MaxRetries:     *c.MaxRetries,
		},
		keyName: c.Key,
		ttl:     c.TTL,
		maxTTL:  c.MaxTTL,
	}
	b.settings.keep(resolved, generation)
	return resolved, nil
}
