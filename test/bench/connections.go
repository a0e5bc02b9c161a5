package main

import "fmt"

// exchanges is how many there are in the part about connections.
const exchanges = 1_000

// connections counts the TCP connections that the plugin opens to Workfront.
func (b *bench) connections() error {
	b.section("Connections", "TCP connections that the simulator accepted, from a plugin that had none.")
	r, err := b.newRig(fresh)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	var rows [][]string
	for _, c := range []struct {
		clients int
		limit   float64
	}{{1, 1}, {64, 32}} {
		if err := r.writeConfig(fresh); err != nil {
			return err
		}
		before, err := b.sim.stats()
		if err != nil {
			return err
		}
		if _, err := r.read(fresh.path, load{clients: c.clients, requests: exchanges}); err != nil {
			return err
		}
		after, err := b.sim.stats()
		if err != nil {
			return err
		}
		if n := after.Started - before.Started; n != exchanges {
			return fmt.Errorf("%d reads started %d sessions", exchanges, n)
		}
		opened := after.Connections - before.Connections
		rows = append(rows, []string{fmt.Sprintf("%d exchanges, %s", exchanges, clientsText(c.clients)), fmt.Sprint(opened)})
		b.atMost(fmt.Sprintf("connections for %d exchanges, %s", exchanges, clientsText(c.clients)), float64(opened), c.limit, "")
	}
	b.table([]string{"", "connections"}, rows)
	return nil
}
