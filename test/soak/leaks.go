package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// droppedText is what the plugin logs when it gives up a session that may live: past its expiry, once Workfront itself
// has answered its logout.
const droppedText = "session not logged out, but past its expiry or the time for retries"

// leaks looks for sessions that live and that the plugin does not know of, right after the load: a leak is to be found
// before it ends by itself. A session that was started a moment ago gets into the ledger soon.
func (k *soak) leaks(ctx context.Context) error {
	return k.mustKnow(ctx, sessionTTL/3, time.Now(), "after the load")
}

// mustKnow keeps a failure if a session that was started before a time lives, and the plugin does not come to know of
// it within another. No answer to a logout but one of Workfront's own, past a session's expiry, takes a living session
// off the ledger.
func (k *soak) mustKnow(ctx context.Context, within time.Duration, started time.Time, when string) error {
	var unknown []workfronttest.Living
	err := poll(ctx, within, func() (err error) {
		if unknown, err = k.unknown(ctx, started); err == nil && len(unknown) > 0 {
			err = fmt.Errorf("%d sessions live that the ledger does not know", len(unknown))
		}
		return err
	})
	if ctx.Err() != nil || err == nil {
		return ctx.Err()
	}
	k.tally.fail("%s: %v", when, err)
	for _, l := range unknown {
		k.print("session %s of user %s lives: started %s, last used %s", k.sessionID(l.Token), l.UserID,
			l.Started.Format(time.StampMilli), l.Used.Format(time.StampMilli))
	}
	return nil
}

// unknown returns the sessions that live, were started before a time, and are not in the ledger, without those that
// were dropped, or lost with a killed process.
func (k *soak) unknown(ctx context.Context, started time.Time) ([]workfronttest.Living, error) {
	living := k.workfront.Living() // first: what is written down in the meantime is known
	known, err := k.tokens(ctx)
	if err != nil {
		return nil, err
	}
	dropped, err := k.dropped()
	return slices.DeleteFunc(living, func(l workfronttest.Living) bool {
		return !l.Delivered || !l.Started.Before(started) || known[l.Token] || dropped[k.sessionID(l.Token)] ||
			k.lostWithProcess(l) || !k.workfront.SessionAlive(l.Token)
	}), err
}

// lostWithProcess reports whether a session was started just before the plugin was killed, or while it was.
func (k *soak) lostWithProcess(l workfronttest.Living) bool {
	k.lostMu.Lock()
	defer k.lostMu.Unlock()
	if !k.lost[l.Token] && k.past.happened(restarting, l.Started, l.Started.Add(feltFor)) && len(k.lost) < k.workers {
		k.lost[l.Token] = true // each worker may have waited for one
	}
	return k.lost[l.Token]
}

// tokens returns those in the ledger.
func (k *soak) tokens(ctx context.Context) (map[string]bool, error) {
	known := map[string]bool{}
	for id := range k.sessions(ctx) {
		secret, err := k.root.Logical().ReadWithContext(ctx, k.storage+"/session/"+id)
		if err != nil {
			return nil, err
		}
		if secret == nil {
			continue
		}
		var record struct {
			Token string `json:"token"`
		}
		if err := parseStored(secret, &record); err != nil {
			return nil, fmt.Errorf("session %s in storage: %w", id, err)
		}
		known[record.Token] = true
	}
	return known, nil
}

// sessionID is the ID of a session in the plugin.
func (k *soak) sessionID(token string) string {
	id := sha256.Sum256([]byte(k.workfront.URL() + "\n" + token)) // as the plugin does
	return fmt.Sprintf("%x", id[:16])
}

var droppedID = regexp.MustCompile(`\bsession_id=(\w+)`)

// dropped returns the IDs of the sessions that the plugin has dropped, from its log.
func (k *soak) dropped() (map[string]bool, error) {
	content, err := os.ReadFile(k.vault.LogFile())
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, droppedText) {
			if match := droppedID.FindStringSubmatch(line); match != nil {
				ids[match[1]] = true
			}
		}
	}
	return ids, nil
}

// parseStored reads an entry of storage.
func parseStored(secret *api.Secret, into any) error {
	text, ok := secret.Data["value"].(string)
	if !ok {
		return errors.New("it holds no text")
	}
	return json.Unmarshal([]byte(text), into)
}
