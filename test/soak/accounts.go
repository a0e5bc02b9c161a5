package main

import (
	"context"
	"fmt"
	"time"
)

// assumedOver is what the plugin logs when it gives up a session whose end Workfront has not stated.
const assumedOver = "past the end that was assumed for it"

// accounts sees to it that every session has ended. What lives although the ledger is empty is lost to everybody. That may
// be for two reasons only: it was given up past an assumed end, or a worker waited for it when the plugin was killed.
func (k *soak) accounts(ctx context.Context, r *round, restarts bool) error {
	overtaken, err := k.logged(assumedOver)
	if err != nil {
		return err
	}
	r.overtaken = overtaken
	for _, before := range k.rounds {
		r.overtaken -= before.overtaken
	}
	if alive := k.workfront.Stats().Alive; alive > r.overtaken {
		if r.lost = alive - r.overtaken; !restarts || r.lost > k.workers {
			k.tally.fail("the ledger is empty, but %d sessions live at Workfront; %d may, past the end that was assumed for them", alive, r.overtaken)
		}
	}
	err = poll(ctx, sessionTTL+10*time.Second, func() error {
		if alive := k.workfront.Stats().Alive; alive > 0 {
			return fmt.Errorf("%d sessions live", alive)
		}
		return nil
	})
	r.stats = k.workfront.Stats()
	return err
}

// vaultEmpty tells whether Vault has leases left, or ones that it could not revoke.
func (k *soak) vaultEmpty(ctx context.Context) error {
	irrevocable, err := k.root.Logical().ReadWithDataWithContext(ctx, "sys/leases", map[string][]string{"type": {"irrevocable"}})
	if err != nil {
		return err
	}
	if n := fmt.Sprint(irrevocable.Data["lease_count"]); n != "0" {
		k.tally.fail("Vault has %s irrevocable leases", n)
	}
	left, err := k.root.Logical().ListWithContext(ctx, "sys/leases/lookup/"+mountPath)
	if err != nil {
		return err
	}
	if left != nil {
		k.tally.fail("Vault has leases of the mount at rest: %v", left.Data["keys"])
	}
	return nil
}
