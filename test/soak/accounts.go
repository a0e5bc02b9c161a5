package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// assumedOver is what the plugin logs when it gives up a session.
const assumedOver = "past its expiry or the time for retries"

// accounts sees to it that every session has ended. What lives although the ledger is empty is lost to everybody. That may
// be for three reasons only: it was given up past an assumed end, a worker waited for it when the plugin was killed, or it
// was used and lives on past its stated end. What was lost under load has most likely ended by now: see leaks.
func (k *soak) accounts(ctx context.Context, r *round) (err error) {
	if r.overtaken, err = k.overtaken(); err != nil {
		return err
	}
	if alive, may := k.workfront.Stats().Alive, r.overtaken+r.lost+k.outlived(); alive > may {
		k.tally.fail("the ledger is empty, but %d sessions live at Workfront; %d may, given up, lost before, or used past the stated end", alive, may)
		k.describeLiving()
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

// describeLiving prints what is known of the sessions that live, by the IDs that they have in the log.
func (k *soak) describeLiving() {
	k.seenMu.Lock()
	defer k.seenMu.Unlock()
	for _, l := range k.workfront.Living() {
		id := sha256.Sum256([]byte(k.workfront.URL() + "\n" + l.Token)) // as the plugin does
		known := "no reader was told a stated end"
		if end, ok := k.seen[l.Token]; ok {
			known = "stated to end at " + end.Format(time.TimeOnly)
		}
		k.print("session %x of user %s lives: started %s, last used %s, %s",
			id[:16], l.UserID, l.Started.Format(time.StampMilli), l.Used.Format(time.StampMilli), known)
	}
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
