package main

import (
	"fmt"
	"time"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// revocation measures the revocation of many leases by prefix.
func (b *bench) revocation() error {
	n := b.size.leases
	b.section("Revocation", fmt.Sprintf("%d leases by prefix. With sync, Vault revokes one after the other and answers when it has; without, it answers at once and\n"+
		"has up to 200 workers do it: then the time until none is left. Logouts: requests to the simulator.", n))
	r, err := b.newRig(shared, fresh, leanPut, leanNoop)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	engines := []engine{shared, fresh, leanPut, leanNoop}
	var rows [][]string
	for _, way := range []struct {
		name string
		run  func(engine) error
	}{{"sync", r.revoke}, {"in the background", r.revokeInBackground}} {
		seconds := make([][]float64, len(engines))
		logouts := make([]int, len(engines))
		err := interleave(b.size.revocations, len(engines), func(_, i int) error {
			if _, err := r.read(engines[i].path, load{clients: 16, requests: n}); err != nil {
				return err
			}
			before, err := b.sim.stats()
			if err != nil {
				return err
			}
			begun := time.Now()
			if err := way.run(engines[i]); err != nil {
				return err
			}
			seconds[i] = append(seconds[i], time.Since(begun).Seconds())
			after, err := b.sim.stats()
			logouts[i] = after.Logouts - before.Logouts
			return err
		})
		if err != nil {
			return err
		}
		for i, e := range engines {
			b.figures.Revocation = append(b.figures.Revocation, revokeFigure{
				Way: way.name, Engine: e.name, Leases: n, Seconds: median(seconds[i]), Logouts: logouts[i],
			})
			rows = append(rows, []string{
				way.name + ", " + e.name, number(median(seconds[i])), fmt.Sprintf("%.0f", float64(n)/median(seconds[i])),
				number(ratio(seconds[i], seconds[len(engines)-1])), fmt.Sprint(logouts[i]),
			})
		}
	}
	b.table([]string{"", "seconds", "leases/s", "time / lean no-op's", "logouts"}, rows)
	return nil
}

// revokeInBackground has Vault revoke all leases of an engine, and waits until none is left.
func (r *rig) revokeInBackground(e engine) error {
	if _, err := r.vault.Root.Logical().Write("sys/leases/revoke-prefix/"+e.path, nil); err != nil {
		return err
	}
	return vaultserver.Poll(5*time.Minute, func() error {
		left, err := r.vault.Root.Logical().List("sys/leases/lookup/" + e.path)
		if err == nil && left != nil {
			err = fmt.Errorf("leases of %s are left", e.mount)
		}
		return err
	})
}
