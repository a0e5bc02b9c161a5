package main

import (
	"context"
	"fmt"
	"time"
)

// accounts checks that every session has ended, when the ledger is empty: one that lives is lost, unless the plugin has
// dropped it, or was killed when it was started. What was lost under load has most likely ended by now: see leaks.
func (k *soak) accounts(ctx context.Context, r *round) error {
	if err := k.mustKnow(ctx, time.Second, time.Now(), "the ledger is empty"); err != nil {
		return err
	}
	err := poll(ctx, sessionTTL+10*time.Second, func() error {
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
