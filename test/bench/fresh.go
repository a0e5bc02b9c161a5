package main

import (
	"fmt"
	"time"
)

// The turns of a round of fresh reads. What the plugin spends is compared to the sum of the others.
const (
	turnFresh = iota
	turnSign
	turnPost
	turnFloor
	turnSlowFloor // the floor no faster than fresh reads are; not part of the sum
	turns
)

// What takes little is done more often in a turn, so that it can be told.
const (
	timesPosts  = 4
	timesFloors = 6
)

// freshReads measures the processor time that a fresh token costs the plugin.
func (b *bench) freshReads() error {
	b.section("Fresh read", "Processor time of the plugin for each token, against the sum of what cannot be left out: one RSA-2048 signature, one HTTPS\n"+
		"POST of a bare Go client on a kept-alive connection, one floor read of as many clients.")
	r, err := b.newRig(fresh, floor)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	var rows [][]string
	for _, clients := range []int{1, 16} {
		var cpu [turns][]float64 // ms for each
		var perSecond []float64
		if _, err := r.read(floor.path, load{clients: clients, requests: 20 * clients}); err != nil {
			return err
		}
		o, err := r.read(fresh.path, load{clients: clients, requests: 100 + 20*clients})
		if err != nil {
			return err
		}
		rate := o.perSecond()
		err = interleave(b.size.rounds, turns, func(_, turn int) error {
			spent, o, err := b.freshTurn(r, turn, clients, rate)
			cpu[turn] = append(cpu[turn], milliseconds(spent))
			if turn == turnFresh && err == nil {
				rate = o.perSecond()
				perSecond = append(perSecond, rate)
			}
			return err
		})
		if err != nil {
			return err
		}
		sum, slow := make([]float64, b.size.rounds), make([]float64, b.size.rounds)
		for i := range sum {
			sum[i] = cpu[turnSign][i] + cpu[turnPost][i] + cpu[turnFloor][i]
			slow[i] = cpu[turnSign][i] + cpu[turnPost][i] + cpu[turnSlowFloor][i]
		}
		rows = append(rows, []string{
			clientsText(clients), fmt.Sprintf("%.0f", median(perSecond)), number(median(cpu[turnFresh])),
			number(median(cpu[turnSign])), number(median(cpu[turnPost])), number(median(cpu[turnFloor])),
			number(median(sum)), number(ratio(cpu[turnFresh], sum)), spread(cpu[turnFresh], sum),
			number(median(cpu[turnSlowFloor])), number(ratio(cpu[turnFresh], slow)),
		})
		b.atMost("fresh read: CPU of the plugin / sum, "+clientsText(clients), ratio(cpu[turnFresh], sum), 1.15, "")
	}
	b.table([]string{"CPU ms of", "tokens/s", "fresh", "signature", "POST", "floor", "sum", "fresh / sum", "of the rounds", "slow floor", "ratio"}, rows)
	b.line("A floor read costs less the more of them there are in a second: a process that is busy need not be woken. Slow floor: the\n" +
		"same at the rate of the fresh reads; the ratio is to the sum with that. The goal is not about it.")
	return nil
}

// freshTurn returns the processor time of one operation, and of reads all the rest. rate is how fast the slow floor is.
func (b *bench) freshTurn(r *rig, turn, clients int, rate float64) (spent time.Duration, o outcome, err error) {
	l := load{clients: clients, requests: b.size.tokens}
	e := floor
	switch turn {
	case turnSign:
		return b.childTurn(jobSign, l)
	case turnPost:
		l.requests *= timesPosts
		return b.childTurn(jobPost, l)
	case turnFresh:
		e = fresh
	case turnFloor:
		l.requests *= timesFloors
	case turnSlowFloor:
		l.perSec = rate
		l.stagger = time.Duration(float64(time.Second) / rate)
	}
	spent, err = r.cpuOf(e, func() (err error) {
		o, err = r.read(e.path, l)
		return err
	})
	return spent / time.Duration(l.requests), o, err
}

func (b *bench) childTurn(job string, l load) (time.Duration, outcome, error) {
	result, err := b.runChild(job, l.clients, l.requests)
	return result.CPU / time.Duration(l.requests), outcome{}, err
}
