package main

import "fmt"

// exchanges is how many there are in the part about connections.
const exchanges = 1_000

// connections counts the TCP connections that the plugin opens to Workfront.
func (b *bench) connections() error {
	b.section("Connections", "TCP connections that the simulator accepted, from a plugin that had none.")
	var rows [][]string
	for _, c := range []struct {
		clients int
		options rigOptions
		limit   float64
	}{
		{1, rigOptions{}, 1},
		{64, rigOptions{}, mostConnections},
		{64, rigOptions{defaultConnections: true}, 8},
	} {
		name := fmt.Sprintf("%d exchanges, %s", exchanges, clientsText(c.clients))
		if c.options.defaultConnections {
			name += ", default max_connections"
		}
		opened, err := b.connectionsOf(c.options, c.clients)
		if err != nil {
			return err
		}
		rows = append(rows, []string{name, fmt.Sprint(opened)})
		b.atMost("connections for "+name, float64(opened), c.limit, "")
	}
	b.table([]string{"", "connections"}, rows)
	return nil
}

// connectionsOf counts the connections of a new plugin, which has none yet.
func (b *bench) connectionsOf(o rigOptions, clients int) (int, error) {
	r, err := b.startRig(o, []engine{fresh})
	if err != nil {
		return 0, err
	}
	defer r.vault.Stop()
	before, err := b.sim.stats()
	if err != nil {
		return 0, err
	}
	if _, err := r.read(fresh.path, load{clients: clients, requests: exchanges}); err != nil {
		return 0, err
	}
	after, err := b.sim.stats()
	if err != nil {
		return 0, err
	}
	if n := after.Started - before.Started; n != exchanges {
		return 0, fmt.Errorf("%d reads started %d sessions", exchanges, n)
	}
	return after.Connections - before.Connections, nil
}
