package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/api"
)

// leaks looks for sessions that live and that nobody knows of, right after the load: a leak is to be found before it ends by
// itself. Those known are the ones whose tokens are in the ledger. A session that was started a moment ago gets there soon.
func (k *soak) leaks(ctx context.Context, r *round, restarts bool) error {
	var unknown, alive, known int
	allowed := 0
	err := poll(ctx, sessionTTL/3, func() (err error) {
		if r.overtaken, err = k.overtaken(); err != nil {
			return err
		}
		allowed = r.overtaken + k.outlived()
		if restarts {
			allowed += k.workers // each may have waited for a session when the plugin was killed
		}
		if known, err = k.livingInLedger(ctx); err != nil {
			return err
		}
		alive = k.workfront.Stats().Alive
		if unknown = alive - known; unknown > allowed {
			return fmt.Errorf("%d sessions live, the ledger knows %d of them", alive, known)
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.lost = max(0, unknown-r.overtaken-k.outlived())
	if err != nil {
		k.tally.fail("after the load: %v; %d may be unknown", err, allowed)
	}
	return nil
}

// livingInLedger counts the sessions in the plugin's storage that live at Workfront.
func (k *soak) livingInLedger(ctx context.Context) (living int, err error) {
	for id := range k.sessions(ctx) {
		record, err := k.stored(ctx, id)
		if err != nil {
			return 0, err
		}
		if record != nil && k.workfront.SessionAlive(record.Token) {
			living++
		}
	}
	return living, nil
}

// record is a session in the plugin's storage.
type record struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	Stated    bool      `json:"stated"`
}

// stored reads a session from the plugin's storage, nil if it is gone.
func (k *soak) stored(ctx context.Context, id string) (*record, error) {
	secret, err := k.root.Logical().ReadWithContext(ctx, k.storage+"/session/"+id)
	if err != nil || secret == nil {
		return nil, err
	}
	var r record
	if err := parseStored(secret, &r); err != nil {
		return nil, fmt.Errorf("session %s in storage: %w", id, err)
	}
	return &r, nil
}

// parseStored reads an entry of storage.
func parseStored(secret *api.Secret, into any) error {
	text, ok := secret.Data["value"].(string)
	if !ok {
		return errors.New("it holds no text")
	}
	return json.Unmarshal([]byte(text), into)
}

// overtaken counts the sessions that were given up in this round past an assumed end. They may live.
func (k *soak) overtaken() (int, error) {
	n, err := k.logged(assumedOver)
	for _, before := range k.rounds {
		n -= before.overtaken
	}
	return n, err
}
