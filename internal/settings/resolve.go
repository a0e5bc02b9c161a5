package settings

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Resolved is all that a token read needs: config with its defaults, the role over it, and the parsed key.
type Resolved struct {
	Source  session.Source
	KeyName string
	Key     *signingkey.Key
	TTL     time.Duration // of a lease; 0: the mount's default
	MaxTTL  time.Duration // 0: the mount's
}

// Resolve returns the settings of a role, or those of the mount if role is empty, and keeps them until something is
// written, for a minute at most. What is missing for a token is an *InputError that names the command to run.
func (s *Store) Resolve(ctx context.Context, storage logical.Storage, mount Mount, role string) (*Resolved, error) {
	kept, reading := s.kept.get(role, s.now())
	if kept != nil {
		return kept, nil
	}
	c, err := Effective(ctx, storage, mount, role)
	if err != nil {
		return nil, err
	}
	r, err := ResolveConfig(ctx, storage, mount, *c, role)
	if err != nil {
		return nil, err
	}
	s.kept.keep(role, r, reading)
	return r, nil
}

// Effective returns config with its defaults, and the role over it.
func Effective(ctx context.Context, storage logical.Storage, mount Mount, role string) (*Config, error) {
	stored, err := getConfig(ctx, storage)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, BadInput("this mount is not configured yet; run %s", configCommand(mount))
	}
	c := *stored
	if role != "" {
		r, err := getRole(ctx, storage, role)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, BadInput("the role %q does not exist; run %s to see those that do, or %s to create it",
				role, mount.Command("list", "roles"), mount.Command("write -f", RolePrefix+role))
		}
		c = r.over(c)
	}
	c = c.WithDefaults()
	return &c, nil
}

// ResolveConfig returns what c stands for, which has its defaults. It keeps nothing.
func ResolveConfig(ctx context.Context, storage logical.Storage, mount Mount, c Config, role string) (*Resolved, error) {
	if c.UserID == "" {
		return nil, BadInput("no user_id is configured, and Workfront starts a session for a user only; run %s with the ID of "+
			"the user who added the public key", mount.Command("write", ConfigKey, "user_id=..."))
	}
	key, err := loadKey(ctx, storage, c.Key)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, BadInput("the signing key %q does not exist; run %s and upload its certificate to Workfront",
			c.Key, mount.Command("write -f", KeyPrefix+c.Key+"/generate"))
	}
	return &Resolved{Source: c.source(role, key.Key), KeyName: c.Key, Key: key.Key, TTL: c.TTL, MaxTTL: c.MaxTTL}, nil
}

// source returns what a session is started from.
func (c Config) source(role string, key *signingkey.Key) session.Source {
	return session.Source{
		Endpoint:       session.Endpoint{BaseURL: c.BaseURL, CACert: c.CACert, APIVersion: c.APIVersion},
		ClientID:       c.ClientID,
		ClientSecret:   c.ClientSecret,
		SecretID:       c.SecretID,
		CustomerID:     c.CustomerID,
		UserID:         c.UserID,
		Signer:         workfront.NewSigner(key.Private),
		KeyFingerprint: key.Fingerprint(),
		Role:           role,
		Shared:         c.ShareSession,
		JWTTTL:         c.JWTTTL,
		SessionTTL:     c.SessionTTL,
		RequestTimeout: c.RequestTimeout,
		MaxRetries:     *c.MaxRetries,
		MaxConnections: c.MaxConnections,
	}
}

// Shares tells whether the readers of a role share a session, or those of the mount's defaults if role is empty.
// Nobody shares anything by settings that do not exist. What cannot be read is taken to be shared, so that nothing is
// ended because of it.
func (s *Store) Shares(ctx context.Context, storage logical.Storage, role string) (bool, error) {
	c, err := getConfig(ctx, storage)
	if role == "" || err != nil || c == nil {
		return shared(c, err)
	}
	r, err := getRole(ctx, storage, role)
	if err != nil || r == nil {
		return shared(nil, err)
	}
	merged := r.over(*c)
	return shared(&merged, nil)
}

func shared(c *Config, err error) (bool, error) {
	var unreadable *UnreadableError
	if errors.As(err, &unreadable) {
		return true, nil
	}
	return c != nil && c.ShareSession, err
}
