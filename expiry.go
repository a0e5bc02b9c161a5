package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// expiryNotice is how long before its end a certificate is warned of: time for whoever administers Workfront.
const expiryNotice = 30 * 24 * time.Hour

const replaceKey = "Make a key under another name, upload its certificate to Workfront, and set it as key in config or in the role that uses this one."

// expiryText says that a certificate ends soon or has ended, or nothing.
func expiryText(name string, notAfter, now time.Time) string {
	end := notAfter.UTC().Format(time.RFC3339)
	switch left := notAfter.Sub(now); {
	case left <= 0:
		return fmt.Sprintf("The certificate of key %q ended at %s. %s", name, end, replaceKey)
	case left < 24*time.Hour:
		return fmt.Sprintf("The certificate of key %q ends at %s, within a day. %s", name, end, replaceKey)
	case left <= expiryNotice:
		return fmt.Sprintf("The certificate of key %q ends at %s, in %d days. %s", name, end, int(left.Hours()/24), replaceKey)
	}
	return ""
}

// warnOfExpiry adds a warning to resp if the certificate of the key, which may be nil, ends soon or has ended.
func (b *backend) warnOfExpiry(stored *storedKey, name string, resp *logical.Response) error {
	if stored == nil {
		return nil
	}
	key, err := stored.parse()
	if err != nil {
		return fmt.Errorf("read key %s: %w", name, err)
	}
	if text := expiryText(name, key.Certificate.NotAfter, b.now()); text != "" {
		resp.AddWarning(text)
	}
	return nil
}

// forecast tells operators once a day of the keys in use whose certificates end soon or have ended.
type forecast struct {
	mu   sync.Mutex
	last time.Time
}

// due tells whether a day has passed since it last said so.
func (f *forecast) due(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.last) < 24*time.Hour {
		return false
	}
	f.last = now
	return true
}

func (b *backend) forecastExpiry(ctx context.Context, s logical.Storage) error {
	if !b.forecast.due(b.now()) {
		return nil
	}
	names, err := s.List(ctx, keyPrefix)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, name := range names {
		users, err := keyUsers(ctx, s, name)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			continue
		}
		stored, err := getKey(ctx, s, name)
		if err != nil || stored == nil {
			return err
		}
		key, err := stored.parse()
		if err != nil {
			return fmt.Errorf("read key %s: %w", name, err)
		}
		if text := expiryText(name, key.Certificate.NotAfter, b.now()); text != "" {
			b.Logger().Warn(text, "key", name, "used_by", users)
			b.event(ctx, eventKeyExpiring, "path", keyPrefix+name, "not_after", key.Certificate.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
