package settings

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// expiryNotice is how long before it expires a certificate is warned of: time for whoever administers Workfront.
const expiryNotice = 30 * 24 * time.Hour

const replaceKey = "Generate a key under another name, upload its certificate to Workfront, and set it as key in config or " +
	"in the role that uses this one."

// ExpiryText says that the certificate of a key expires soon or has expired, or nothing.
func ExpiryText(name string, notAfter, now time.Time) string {
	end := notAfter.UTC().Format(time.RFC3339)
	switch left := notAfter.Sub(now); {
	case left <= 0:
		return fmt.Sprintf("The certificate for key %q expired at %s. %s", name, end, replaceKey)
	case left < 24*time.Hour:
		return fmt.Sprintf("The certificate for key %q expires at %s, within a day. %s", name, end, replaceKey)
	case left <= expiryNotice:
		return fmt.Sprintf("The certificate for key %q expires at %s, in %d days. %s", name, end, int(left.Hours()/24), replaceKey)
	}
	return ""
}

// KeyWarnings says that the certificate of a key expires soon or has expired. A key that does not exist is not warned of.
func (s *Store) KeyWarnings(ctx context.Context, storage logical.Storage, name string) ([]string, error) {
	stored, err := getKey(ctx, storage, name)
	if err != nil {
		return nil, err
	}
	return s.expiryWarning(stored, name)
}

func (s *Store) expiryWarning(stored *storedKey, name string) ([]string, error) {
	if stored == nil {
		return nil, nil
	}
	key, err := stored.parse()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	if text := ExpiryText(name, key.Certificate.NotAfter, s.now()); text != "" {
		return []string{text}, nil
	}
	return nil, nil
}

// Expiring is a key in use whose certificate expires soon or has expired.
type Expiring struct {
	Key      string
	NotAfter time.Time
	UsedBy   []string
	Text     string
}

// expiryWatch remembers when operators were last told.
type expiryWatch struct {
	mu   sync.Mutex
	last time.Time
}

// due tells whether a day has passed since it last said so.
func (w *expiryWatch) due(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.last) < 24*time.Hour {
		return false
	}
	w.last = now
	return true
}

// WatchExpiry returns, once a day, the keys in use whose certificates expire soon or have expired.
func (s *Store) WatchExpiry(ctx context.Context, storage logical.Storage) ([]Expiring, error) {
	if !s.watch.due(s.now()) {
		return nil, nil
	}
	names, err := list(ctx, storage, KeyPrefix)
	if err != nil {
		return nil, err
	}
	var found []Expiring
	for _, name := range names {
		users, err := keyUsers(ctx, storage, name)
		if err != nil {
			return found, err
		}
		if len(users) == 0 {
			continue
		}
		stored, err := getKey(ctx, storage, name)
		if err != nil || stored == nil {
			return found, err
		}
		key, err := stored.parse()
		if err != nil {
			return found, fmt.Errorf("read key %s: %w", name, err)
		}
		if text := ExpiryText(name, key.Certificate.NotAfter, s.now()); text != "" {
			found = append(found, Expiring{Key: name, NotAfter: key.Certificate.NotAfter, UsedBy: users, Text: text})
		}
	}
	return found, nil
}
