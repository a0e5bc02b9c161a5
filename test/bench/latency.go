package main

import (
	"fmt"
	"slices"
	"time"
)

// workfrontTakes is how long an exchange takes where the time is measured that the plugin adds.
const workfrontTakes = 100 * time.Millisecond

// freshLatency measures what a fresh read adds to the time that Workfront takes.
func (b *bench) freshLatency() error {
	b.section("Fresh read, latency", fmt.Sprintf("An exchange takes %s at the simulator. Added: what a read takes beyond that, in ms, from Vault's client to Vault's\n"+
		"client; and the same of a bare Go client that posts to the simulator.", workfrontTakes))
	r, err := b.newRig(fresh)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	if err := b.sim.exchangesTake(workfrontTakes); err != nil {
		return err
	}
	defer func() { _ = b.sim.exchangesTake(0) }()
	var rows [][]string
	for _, l := range []load{{clients: 1}, {clients: 16, stagger: workfrontTakes / 16}, {clients: 16}} {
		clients := l.clients
		requests := clients * int(2*b.size.round/workfrontTakes)
		var p50, p99, bareP50, bareP99 []float64
		added := func(o outcome, percent int) float64 { return milliseconds(o.percentile(percent) - workfrontTakes) }
		if _, err := r.read(fresh.path, load{clients: clients, requests: clients}); err != nil {
			return err
		}
		l.requests = requests
		err := interleave(b.size.few, 2, func(_, turn int) error {
			if turn == 0 {
				o, err := r.read(fresh.path, l)
				p50, p99 = append(p50, added(o, 50)), append(p99, added(o, 99))
				return err
			}
			result, err := b.runChild(jobPost, clients, requests)
			slices.Sort(result.Latencies)
			o := outcome{latencies: result.Latencies}
			bareP50, bareP99 = append(bareP50, added(o, 50)), append(bareP99, added(o, 99))
			return err
		})
		if err != nil {
			return err
		}
		name := clientsText(clients)
		if clients > 1 && l.stagger > 0 {
			name += ", one after the other"
		} else if clients > 1 {
			name += ", all at once"
		}
		rows = append(rows, []string{
			name, number(median(p50)), number(median(p99)), number(median(bareP50)), number(median(bareP99)),
		})
		if clients > 1 {
			b.atMost("fresh read: added to Workfront's 100 ms, p50, "+name, median(p50), 5, " ms")
		}
	}
	b.line("Clients that begin all at once stay so, because each waits 100 ms: they queue for the processors in each round. Those that\n" +
		"begin one after the other, within 100 ms, are what independent clients are.\n")
	b.table([]string{"", "added, p50", "p99", "bare POST, p50", "p99"}, rows)
	return nil
}
