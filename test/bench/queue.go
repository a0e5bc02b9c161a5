package main

import (
	"fmt"
	"time"
)

// The queue of a plugin whose max_connections is the default, in front of a Workfront that limits calls.
const (
	queueClients  = 64
	queueTakes    = 200 * time.Millisecond
	queueMaxCalls = 10
	queueLasts    = 15 * time.Second
	queue429s     = 2
)

// queue measures fresh reads that wait for one another, because the plugin keeps to the number of calls that Workfront
// takes at a time.
func (b *bench) queue() error {
	b.section("Queue", fmt.Sprintf("Fresh reads by %d clients over %s, with max_connections at its default. An exchange takes %s at the\n"+
		"simulator, which answers more than %d calls at a time with a 429.", queueClients, queueLasts, queueTakes, queueMaxCalls))
	r, err := b.startRig(rigOptions{defaultConnections: true}, []engine{fresh})
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	if err := b.sim.exchangesTake(queueTakes, queueMaxCalls); err != nil {
		return err
	}
	defer func() { _ = b.sim.exchangesTake(0, 0) }()
	before, err := b.sim.stats()
	if err != nil {
		return err
	}
	o, err := r.read(fresh.path, load{clients: queueClients, lasting: queueLasts})
	if err != nil {
		return err // a single failed read fails the run
	}
	after, err := b.sim.stats()
	if err != nil {
		return err
	}
	refused := after.TooManyCalls - before.TooManyCalls
	b.figures.Queue = &queueFigures{
		ReadsPerSecond: o.perSecond(), P50: milliseconds(o.percentile(50)), P99: milliseconds(o.percentile(99)), TooManyCalls: refused,
	}
	b.table([]string{"", "reads/s", "p50 ms", "p99 ms", "failed", "429s"}, [][]string{{
		fmt.Sprintf("%d clients", queueClients), number(o.perSecond()), number(b.figures.Queue.P50), number(b.figures.Queue.P99),
		"0", fmt.Sprint(refused),
	}})
	b.atMost(fmt.Sprintf("queue: calls refused with a 429, %d clients", queueClients), float64(refused), queue429s, "")
	return nil
}
