package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
		days := "1 day"
		if n := int(left.Hours() / 24); n > 1 {
			days = fmt.Sprintf("%d days", n)
		}
		return fmt.Sprintf("The certificate for key %q expires at %s, in %s. %s", name, end, days, replaceKey)
	}
	return ""
}

// KeyWarnings is what is wrong with a key that settings name: it does not exist, cannot be read, or its certificate
// expires soon or has expired. Only a fault of storage is an error.
func (s *Store) KeyWarnings(ctx context.Context, storage logical.Storage, mount Mount, name string) ([]string, error) {
	key, err := loadKey(ctx, storage, name)
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return []string{fmt.Sprintf("No token can be signed with the key %q: %s. To mend it, %s.", name, unreadable, unreadable.Remedy(mount))}, nil
	case err != nil:
		return nil, err
	case key == nil:
		return []string{fmt.Sprintf("The signing key %q does not exist yet; run %s, or import one.",
			name, mount.Command("write -f", KeyPrefix+name+"/generate"))}, nil
	}
	if text := ExpiryText(name, key.Certificate.NotAfter, s.now()); text != "" {
		return []string{text}, nil
	}
	return nil, nil
}

// Expiries returns when the certificate of each key expires, by the name of the key. A key that cannot be read is left out.
// It lists the keys, and reads those that memory knows nothing of. The map is not to be changed.
func (s *Store) Expiries(ctx context.Context, storage logical.Storage) (map[string]time.Time, error) {
	known, reading := s.kept.knownExpiries(s.now())
	names, err := s.Keys(ctx, storage)
	if err != nil {
		return nil, err
	}
	expiries := make(map[string]time.Time, len(names))
	for _, name := range names {
		if notAfter, ok := known[name]; ok {
			expiries[name] = notAfter
			continue
		}
		key, err := loadKey(ctx, storage, name)
		var unreadable *UnreadableError
		switch {
		case errors.As(err, &unreadable):
		case err != nil:
			return nil, err
		case key != nil:
			expiries[name] = key.Certificate.NotAfter
		}
	}
	s.kept.keepExpiries(expiries, reading)
	return expiries, nil
}

// expiryEvery is how often operators are told of a key.
const expiryEvery = 24 * time.Hour

// expiryWatch remembers what operators were told.
type expiryWatch struct {
	mu   sync.Mutex
	done time.Time            // when all keys were last looked at
	told map[string]time.Time // by the entry's key, since then
}

// Expiring is a key in use whose certificate expires soon or has expired.
type Expiring struct {
	Name     string
	NotAfter time.Time
	UsedBy   []string
	Text     string
}

// Findings is what operators are to be told.
type Findings struct {
	Expiring   []Expiring
	Unreadable []*UnreadableError // settings, and keys in use
}

// WatchExpiry looks at all keys in use once a day, and returns what operators are to be told of them. What storage
// fails to give is looked at again by the next call; nothing is told twice on one day for that.
func (s *Store) WatchExpiry(ctx context.Context, storage logical.Storage) (Findings, error) {
	var found Findings
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := s.now()
	if now.Sub(w.done) < expiryEvery {
		return found, nil
	}
	users, err := findKeyUsers(ctx, storage)
	if err != nil {
		return found, err
	}
	unreadable := users.unreadable
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(users.byKey)) {
		key, err := loadKey(ctx, storage, name)
		var damage *UnreadableError
		switch {
		case errors.As(err, &damage):
			unreadable = append(unreadable, damage)
		case err != nil:
			faults = append(faults, err)
		case key != nil:
			text := ExpiryText(name, key.Certificate.NotAfter, now)
			if text != "" && w.due(KeyPrefix+name, now) {
				found.Expiring = append(found.Expiring,
					Expiring{Name: name, NotAfter: key.Certificate.NotAfter, UsedBy: users.of(name), Text: text})
			}
		}
	}
	for _, entry := range unreadable {
		if w.due(entry.Key, now) {
			found.Unreadable = append(found.Unreadable, entry)
		}
	}
	if len(faults) == 0 {
		w.done, w.told = now, nil
	}
	return found, errors.Join(faults...)
}

// due tells whether an entry has not been told of for a day, and notes that it is told of now. w.mu is held.
func (w *expiryWatch) due(key string, now time.Time) bool {
	if last, told := w.told[key]; told && now.Sub(last) < expiryEvery {
		return false
	}
	if w.told == nil {
		w.told = make(map[string]time.Time)
	}
	w.told[key] = now
	return true
}
