package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// settings is all that a token read needs, resolved once: config with its defaults, the role over it, and the parsed key.
type settings struct {
	source  session.Source
	keyName string
	key     *signingkey.Key
	ttl     time.Duration // of a lease; 0: the mount's default
	maxTTL  time.Duration // 0: the mount's
}

// settingsCache keeps settings between reads, by the name of the role, because parsing a key takes longer than signing with
// it. Its zero value is empty.
type settingsCache struct {
	mu         sync.Mutex
	kept       map[string]*settings
	generation uint64 // counts drops, so that what was read before one is not kept after it
}

func (c *settingsCache) get(role string) (kept *settings, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[role], c.generation
}

// keep takes s, unless there was a drop since get returned generation.
func (c *settingsCache) keep(role string, s *settings, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if c.kept == nil {
		c.kept = make(map[string]*settings)
	}
	c.kept[role] = s
}

func (c *settingsCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
	c.generation++
}

// resolve returns the settings of a role, or those of the mount if roleName is empty. What is missing for a token is a
// *userError that names the command to run.
func (b *backend) resolve(ctx context.Context, req *logical.Request, roleName string) (*settings, error) {
	kept, generation := b.settings.get(roleName)
	if kept != nil {
		return kept, nil
	}
	c, err := effectiveConfig(ctx, req, roleName)
	if err != nil {
		return nil, err
	}
	s, err := makeSettings(ctx, req, *c, roleName)
	if err != nil {
		return nil, err
	}
	b.settings.keep(roleName, s, generation)
	return s, nil
}

// effectiveConfig returns config with its defaults, and the role over it.
func effectiveConfig(ctx context.Context, req *logical.Request, roleName string) (*config, error) {
	mount := req.MountPoint
	stored, err := getConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, &userError{fmt.Sprintf("this mount is not configured yet; run `vault write %sconfig base_url=... client_id=... "+
			"client_secret=... customer_id=... user_id=...`", mount)}
	}
	c := *stored
	if roleName != "" {
		r, err := getRole(ctx, req.Storage, roleName)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, &userError{fmt.Sprintf("the role %q does not exist; run `vault list %sroles` to see those that do, or "+
				"`vault write -f %sroles/%s` to make it", roleName, mount, mount, roleName)}
		}
		c = r.over(c)
	}
	c = c.withDefaults()
	return &c, nil
}

// makeSettings makes the settings that c, which has its defaults, stands for.
func makeSettings(ctx context.Context, req *logical.Request, c config, roleName string) (*settings, error) {
	mount := req.MountPoint
	if c.UserID == "" {
		return nil, &userError{fmt.Sprintf("no user_id is configured, and Workfront starts a session for a user only; "+
			"run `vault write %sconfig user_id=...` with the ID of the user who added the public key", mount)}
	}
	stored, err := getKey(ctx, req.Storage, c.Key)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, &userError{fmt.Sprintf("the signing key %q does not exist; run `vault write -f %skeys/%s/generate` and upload "+
			"its certificate to Workfront", c.Key, mount, c.Key)}
	}
	key, err := stored.parse()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", c.Key, err)
	}
	s := &settings{
		source: session.Source{
			Endpoint: session.Endpoint{
				Endpoint:   workfront.Endpoint{BaseURL: c.BaseURL, CACert: c.CACert},
				APIVersion: c.APIVersion,
			},
			ClientID:       c.ClientID,
			ClientSecret:   c.ClientSecret,
			CustomerID:     c.CustomerID,
			UserID:         c.UserID,
			Signer:         workfront.NewSigner(key.Private),
			Role:           roleName,
			JWTTTL:         c.JWTTTL,
			SessionTTL:     c.SessionTTL,
			RequestTimeout: c.RequestTimeout,
			MaxRetries:     *c.MaxRetries,
		},
		keyName: c.Key,
		key:     key,
		ttl:     c.TTL,
		maxTTL:  c.MaxTTL,
	}
	if c.ShareSession {
		s.source.Share = shareName(roleName)
		// Not the client secret: a session lives on when that is replaced.
		sum := sha256.Sum256([]byte(strings.Join([]string{c.BaseURL, c.ClientID, c.CustomerID, c.UserID, key.Fingerprint()}, "\n")))
		s.source.Fingerprint = hex.EncodeToString(sum[:])
	}
	return s, nil
}
