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
	turnLean
	turnSlowLean // the lean engine no faster than fresh reads are; not part of the sum
	turns
)

// What takes little is done more often in a turn, so that it can be told.
const (
	timesPosts = 4
	timesLean  = 3
)

// freshReads measures the processor time that a fresh token costs the plugin.
func (b *bench) freshReads() error {
	b.section("Fresh read", "Processor time of the plugin for each token, against the sum of what cannot be left out: one RSA-2048 signature, one HTTPS\n"+
		"POST of a bare Go client on a kept-alive connection, one read of a lean engine that makes as many storage calls (one get,\n"+
		"two puts), by as many clients.")
	r, err := b.newRig(fresh, leanCalls)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	var rows [][]string
	for _, clients := range []int{1, 16} {
		var cpu [turns][]float64 // ms for each
		var perSecond []float64
		if _, err := r.read(leanCalls.path, load{clients: clients, requests: 20 * clients}); err != nil {
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
			if err == nil && turn == turnFresh {
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
			sum[i] = cpu[turnSign][i] + cpu[turnPost][i] + cpu[turnLean][i]
			slow[i] = cpu[turnSign][i] + cpu[turnPost][i] + cpu[turnSlowLean][i]
		}
		all := ratio(cpu[turnFresh], sum)
		rows = append(rows, []string{
			clientsText(clients), fmt.Sprintf("%.0f", median(perSecond)), number(median(cpu[turnFresh])),
			number(median(cpu[turnSign])), number(median(cpu[turnPost])), number(median(cpu[turnLean])), number(median(sum)),
			number(all), spread(cpu[turnFresh], sum), number(median(cpu[turnSlowLean])), number(ratio(cpu[turnFresh], slow)),
		})
		b.figures.Fresh = append(b.figures.Fresh, freshFigure{
			Clients: clients, Plugin: median(cpu[turnFresh]), Signature: median(cpu[turnSign]), Post: median(cpu[turnPost]),
			Lean: median(cpu[turnLean]), Ratio: all,
		})
		b.atMost("fresh read: CPU of the plugin / sum, "+clientsText(clients), all, 1.15, "")
	}
	b.table([]string{
		"CPU ms of", "tokens/s", "plugin", "signature", "POST", "lean, 3 calls", "sum",
		"plugin / sum", "of the rounds", "slow lean", "plugin / slow sum",
	}, rows)
	b.line("A lean read costs less the more of them there are in a second: a process that is busy need not be woken. Slow lean: the\n" +
		"same at the rate of the fresh reads; slow sum: the sum with that. The goal is not about it.")
	return nil
}

// freshTurn returns the processor time of one operation, and of reads all the rest. rate is how fast the slow turn is.
func (b *bench) freshTurn(r *rig, turn, clients int, rate float64) (spent time.Duration, o outcome, err error) {
	l := load{clients: clients, requests: b.size.tokens}
	e := leanCalls
	switch turn {
	case turnSign:
		return b.childTurn(jobSign, l)
	case turnPost:
		l.requests *= timesPosts
		return b.childTurn(jobPost, l)
	case turnFresh:
		e = fresh
	case turnLean:
		l.requests *= timesLean
	case turnSlowLean:
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
