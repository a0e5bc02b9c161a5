package main

import (
	"fmt"
	"slices"
	"time"
)

// The turns of a round of fresh reads. What the plugin spends is compared to the sum of the others.
const (
	turnFresh = iota
	turnSign
	turnPost
	turnFloor
	turns
)

// floorTurn is how many times as many reads a turn of the floor has: each takes so little that it could not be told else.
const floorTurn = 6

// freshReads measures the processor time that a fresh token costs the plugin.
func (b *bench) freshReads() error {
	b.section("Fresh read", "Each read signs, exchanges and starts a session. Processor time of the plugin for each token, against the sum of\n"+
		"what cannot be left out: one RSA-2048 signature, one HTTPS POST of a bare Go client on a kept-alive connection, one floor read.")
	r, err := b.newRig(fresh, floor)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	var rows [][]string
	for _, clients := range []int{1, 16} {
		var cpu [turns][]float64 // ms for each
		var perSecond []float64
		for _, e := range []engine{fresh, floor} {
			if _, err := r.read(e.path, load{clients: clients, requests: 20 * clients}); err != nil {
				return err
			}
		}
		err := interleave(b.size.rounds, turns, func(_, turn int) error {
			spent, rate, err := b.freshTurn(r, turn, clients)
			cpu[turn] = append(cpu[turn], milliseconds(spent))
			if turn == turnFresh {
				perSecond = append(perSecond, rate)
			}
			return err
		})
		if err != nil {
			return err
		}
		sum := make([]float64, b.size.rounds)
		for i := range sum {
			sum[i] = cpu[turnSign][i] + cpu[turnPost][i] + cpu[turnFloor][i]
		}
		rows = append(rows, []string{
			fmt.Sprintf("%d clients", clients), fmt.Sprintf("%.0f", median(perSecond)),
			number(median(cpu[turnFresh])), number(median(cpu[turnSign])), number(median(cpu[turnPost])), number(median(cpu[turnFloor])),
			number(median(sum)), number(ratio(cpu[turnFresh], sum)), spread(cpu[turnFresh], sum),
		})
		b.atMost(fmt.Sprintf("fresh read: CPU of the plugin / sum, %d clients", clients), ratio(cpu[turnFresh], sum), 1.15, "")
	}
	b.table([]string{"", "tokens/s", "plugin ms", "signature ms", "POST ms", "floor ms", "sum ms", "plugin / sum", "(of a round)"}, rows)
	return nil
}

// freshTurn returns the processor time of one operation, and of fresh reads how many there were in a second.
func (b *bench) freshTurn(r *rig, turn, clients int) (time.Duration, float64, error) {
	n := b.size.tokens
	switch turn {
	case turnSign, turnPost:
		job := jobSign
		if turn == turnPost {
			job = jobPost
		}
		result, err := b.runChild(job, clients, n)
		return result.CPU / time.Duration(n), 0, err
	case turnFloor:
		n *= floorTurn
	}
	e := fresh
	if turn == turnFloor {
		e = floor
	}
	var o outcome
	spent, err := r.cpuOf(e, func() (err error) {
		o, err = r.read(e.path, load{clients: clients, requests: n})
		return err
	})
	return spent / time.Duration(n), o.perSecond(), err
}

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
	for _, clients := range []int{1, 16} {
		requests := clients * int(2*b.size.round/workfrontTakes)
		var p50, p99, bareP50, bareP99 []float64
		added := func(o outcome, percent int) float64 { return milliseconds(o.percentile(percent) - workfrontTakes) }
		if _, err := r.read(fresh.path, load{clients: clients, requests: clients}); err != nil {
			return err
		}
		err := interleave(b.size.few, 2, func(_, turn int) error {
			if turn == 0 {
				o, err := r.read(fresh.path, load{clients: clients, requests: requests})
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
		rows = append(rows, []string{
			fmt.Sprintf("%d clients", clients), number(median(p50)), number(median(p99)), number(median(bareP50)), number(median(bareP99)),
		})
		if clients == 16 {
			b.atMost("fresh read: added to Workfront's 100 ms, 16 clients, p50", median(p50), 5, " ms")
		}
	}
	b.table([]string{"", "added, p50", "p99", "bare POST, p50", "p99"}, rows)
	return nil
}
