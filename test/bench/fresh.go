package main

import (
	"fmt"
	"time"
)

// The turns of a round of fresh reads. What the plugin spends is compared to the sum of the others.
const (
	turnFresh = iota
	turnAlone // as turnFresh, but each read signs
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

// manyRoles are more than are read in a second. The plugin signs once for the reads of one role in one second, so a read that
// goes round them signs each time, as one does that comes alone.
const manyRoles = 2048

// freshReads measures the processor time that a fresh token costs the plugin.
func (b *bench) freshReads() error {
	b.section("Fresh read", "Processor time of the plugin for each token, against the sum of what cannot be left out: one RSA-2048 signature, one HTTPS\n"+
		"POST of a bare Go client on a kept-alive connection, one floor read of as many clients.\n"+
		"Burst: reads of one role. A JWT says its end in whole seconds, so those of one second are the same, and signed once.\n"+
		"Alone: each read signs, because no other read of its role falls into its second.")
	r, err := b.newRig(fresh, floor)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	if err := r.writeRoles(fresh, manyRoles); err != nil {
		return err
	}
	if _, err := r.read(fresh.path, load{clients: 1, requests: manyRoles, roles: manyRoles}); err != nil { // parses their keys
		return err
	}
	var rows [][]string
	for _, clients := range []int{1, 16} {
		var cpu [turns][]float64 // ms for each
		var perSecond []float64
		if _, err := r.read(floor.path, load{clients: clients, requests: 20 * clients}); err != nil {
			return err
		}
		o, err := r.read(fresh.path, load{clients: clients, requests: 100 + 20*clients, roles: manyRoles})
		if err != nil {
			return err
		}
		rate := o.perSecond()
		err = interleave(b.size.rounds, turns, func(_, turn int) error {
			spent, o, err := b.freshTurn(r, turn, clients, rate)
			cpu[turn] = append(cpu[turn], milliseconds(spent))
			if err != nil {
				return err
			}
			switch turn {
			case turnFresh:
				perSecond = append(perSecond, o.perSecond())
			case turnAlone:
				rate = o.perSecond()
			}
			return nil
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
			clientsText(clients), fmt.Sprintf("%.0f", median(perSecond)), number(median(cpu[turnFresh])), number(median(cpu[turnAlone])),
			number(median(cpu[turnSign])), number(median(cpu[turnPost])), number(median(cpu[turnFloor])),
			number(median(sum)), number(ratio(cpu[turnFresh], sum)), number(ratio(cpu[turnAlone], sum)), spread(cpu[turnAlone], sum),
			number(median(cpu[turnSlowFloor])), number(ratio(cpu[turnAlone], slow)),
		})
		b.atMost("fresh read: CPU of the plugin / sum, burst, "+clientsText(clients), ratio(cpu[turnFresh], sum), 1.15, "")
		b.atMost("fresh read: CPU of the plugin / sum, alone, "+clientsText(clients), ratio(cpu[turnAlone], sum), 1.15, "")
	}
	b.table([]string{"CPU ms of", "tokens/s", "burst", "alone", "signature", "POST", "floor", "sum", "burst / sum", "alone / sum", "of the rounds", "slow floor", "alone / slow sum"}, rows)
	b.line("A floor read costs less the more of them there are in a second: a process that is busy need not be woken. Slow floor: the\n" +
		"same at the rate of the reads alone; slow sum: the sum with that. The goal is not about it.")
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
	case turnAlone:
		e, l.roles = fresh, manyRoles
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
