package main

import (
	"fmt"
	"slices"
	"time"
)

// workfrontTakes is how long an exchange takes where the time is measured that the plugin adds.
const workfrontTakes = 100 * time.Millisecond

// The turns of a round in which latencies are measured.
const (
	latencyFresh = iota
	latencyPost
	latencySign
	latencyLean
	latencyTurns
)

// freshLatency measures what a fresh read adds to the time that Workfront takes.
func (b *bench) freshLatency() error {
	b.section("Fresh read, latency", fmt.Sprintf("An exchange takes %s at the simulator. Added: what a read takes beyond that, in ms, from Vault's client to Vault's\n"+
		"client. Beside it, what its parts take alone (p50): a bare Go client that posts to the simulator, beyond those %s; one\n"+
		"signature; a read of a lean engine with as many storage calls, at the same rate.", workfrontTakes, workfrontTakes))
	r, err := b.newRig(fresh, leanCalls)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	if err := b.sim.exchangesTake(workfrontTakes, 0); err != nil {
		return err
	}
	defer func() { _ = b.sim.exchangesTake(0, 0) }()
	var rows [][]string
	for _, l := range []load{{clients: 1}, {clients: 16, stagger: workfrontTakes / 16}, {clients: 16}} {
		name := clientsText(l.clients)
		if l.clients > 1 && l.stagger > 0 {
			name += ", one after the other"
		} else if l.clients > 1 {
			name += ", all at once"
		}
		l.requests = l.clients * int(2*b.size.round/workfrontTakes)
		f, barePost99, err := b.latencyOf(r, l)
		if err != nil {
			return err
		}
		f.Load = name
		b.figures.Latency = append(b.figures.Latency, f)
		rows = append(rows, []string{
			name, number(f.P50), number(f.P99), number(f.Post), number(barePost99), number(f.Signature), number(f.Lean),
		})
		if l.stagger > 0 {
			b.atMost("fresh read: added to Workfront's 100 ms, p50, "+name, f.P50, 4, " ms")
		}
	}
	b.line("Clients that begin all at once stay so, because each waits 100 ms: they queue for the processors in each round. Those that\n" +
		"begin one after the other, within 100 ms, are what independent clients are.\n")
	b.table([]string{"", "added, p50", "p99", "bare POST, p50", "p99", "signature", "lean, 3 calls"}, rows)
	return nil
}

// latencyOf measures one load: medians of the rounds.
func (b *bench) latencyOf(r *rig, l load) (f latencyFigure, barePost99 float64, err error) {
	for _, e := range []engine{fresh, leanCalls} {
		if _, err := r.read(e.path, load{clients: l.clients, requests: l.clients}); err != nil {
			return f, 0, err
		}
	}
	var p50, p99 [latencyTurns][]float64
	err = interleave(b.size.few, latencyTurns, func(_, turn int) (err error) {
		var o outcome
		var beyond time.Duration
		switch turn {
		case latencyFresh:
			beyond = workfrontTakes
			o, err = r.read(fresh.path, l)
		case latencyPost:
			beyond = workfrontTakes
			o, err = b.childLatencies(jobPost, l.clients, l.requests)
		case latencySign:
			o, err = b.childLatencies(jobSign, 1, l.requests)
		case latencyLean:
			paced := l
			paced.perSec = float64(l.clients) / workfrontTakes.Seconds()
			o, err = r.read(leanCalls.path, paced)
		}
		p50[turn] = append(p50[turn], milliseconds(o.percentile(50)-beyond))
		p99[turn] = append(p99[turn], milliseconds(o.percentile(99)-beyond))
		return err
	})
	return latencyFigure{
		P50: median(p50[latencyFresh]), P99: median(p99[latencyFresh]),
		Post: median(p50[latencyPost]), Signature: median(p50[latencySign]), Lean: median(p50[latencyLean]),
	}, median(p99[latencyPost]), err
}

func (b *bench) childLatencies(job string, clients, requests int) (outcome, error) {
	result, err := b.runChild(job, clients, requests)
	slices.Sort(result.Latencies)
	return outcome{latencies: result.Latencies}, err
}
