package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// round is what a round has brought, at rest.
type round struct {
	at         time.Duration // since the start
	operations int           // so far
	stats      workfronttest.Stats
	orphaned   int // sessions whose readers left while the answer was between the plugin and Vault
	pid        int
	figures
}

// soak makes rounds until the time is over.
func (k *soak) soak(ctx context.Context) error {
	began := time.Now()
	workers, faults := k.makeWorkers(), k.makeFaults()
	k.printBegin()
	for len(k.rounds) < minRounds || time.Since(began) < k.time {
		first := len(k.rounds) == 0
		if len(k.rounds) == minRounds-1 { // the process was restarted in the first, and the second is what is compared with
			if err := k.steadyLoad(ctx, workers); err != nil {
				return fmt.Errorf("steady load: %w", err)
			}
		}
		k.load(ctx, workers, faults, first)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		for _, w := range workers {
			w.forgetAll()
		}
		r, err := k.rest(ctx)
		if err != nil {
			return fmt.Errorf("round %d: %w", len(k.rounds)+1, err)
		}
		r.at, r.operations = time.Since(began), k.tally.total()
		k.rounds = append(k.rounds, r)
		k.printRound(r)
	}
	return nil
}

// rest ends all that was issued and waits until nothing of it is left, in Vault, in the plugin and at Workfront.
func (k *soak) rest(ctx context.Context) (r round, err error) {
	if err := k.leaks(ctx); err != nil {
		return r, err
	}
	// Config as at the start. It also makes the plugin forget that Workfront was down, and drop connections.
	if err := k.write("config", k.config()); err != nil {
		return r, err
	}
	if err := k.root.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{LeaseID: mountPath, Prefix: true, Sync: true}); err != nil {
		return r, fmt.Errorf("revoke all: %w", err)
	}
	if r.orphaned, err = k.endOrphans(ctx); err != nil {
		return r, err
	}
	k.absent = nil
	k.past.forget()
	for _, role := range allRoles {
		if err := k.tryRole(ctx, role); err != nil {
			return r, err
		}
	}
	if err := k.renewRoles(ctx); err != nil {
		return r, err
	}
	// The job that retries pending logouts runs once a minute, and ends what has expired once two runs say so.
	if err := poll(ctx, 210*time.Second, func() error { return k.ledgerEmpty(ctx) }); err != nil {
		return r, err
	}
	if err := k.accounts(ctx, &r); err != nil {
		return r, err
	}
	if err := k.vaultEmpty(ctx); err != nil {
		return r, err
	}
	if err := k.write("config", k.config()); err != nil { // connections of those logouts
		return r, err
	}
	if r.pid, err = k.process(); err != nil {
		return r, err
	}
	if r.figures, err = k.measure(ctx, r.pid); err != nil {
		return r, err
	}
	k.keepProfiles(r.pid)
	entries, err := k.entries(ctx, "")
	r.entries = len(entries)
	return r, err
}

// tryRole reads a token of a role when nothing is wrong, and gives it back: its session must live, and then be dead.
func (k *soak) tryRole(ctx context.Context, role string) error {
	began := time.Now()
	secret, err := k.readToken(ctx, k.root, role, nil)
	if !k.judge("read at rest", began, err, noRole(role)...) {
		return nil
	}
	l := k.understand(secret, role, began)
	if l == nil || !k.mustLive(l, "read at rest") {
		return nil
	}
	if err := k.root.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{LeaseID: l.id, Sync: true}); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if k.workfront.SessionAlive(l.token) {
		k.tally.fail("revoke at rest %s: session %s lives", shown(role), l.session)
	}
	return nil
}

// renewRoles deletes all roles, which ends what they share, and makes those anew that are to be there.
func (k *soak) renewRoles(ctx context.Context) error {
	for _, role := range allRoles[1:] {
		if _, err := k.root.Logical().DeleteWithContext(ctx, mountPath+"/roles/"+role); err != nil {
			return err
		}
	}
	for _, r := range stableRoles {
		if err := k.writeRole(r, signingKey{name: "own"}); err != nil {
			return err
		}
	}
	return nil
}
