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
	turns
)

// What takes little is done more often in a turn, so that it can be told.
const (
	timesPosts  = 4
	timesFloors = 6
)

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
			clientsText(clients), fmt.Sprintf("%.0f", median(perSecond)), number(median(cpu[turnFresh])),
			number(median(cpu[turnSign])), number(median(cpu[turnPost])), number(median(cpu[turnFloor])),
			number(median(sum)), number(ratio(cpu[turnFresh], sum)), spread(cpu[turnFresh], sum),
		})
		b.atMost("fresh read: CPU of the plugin / sum, "+clientsText(clients), ratio(cpu[turnFresh], sum), 1.15, "")
	}
	b.table([]string{"", "tokens/s", "plugin ms", "signature ms", "POST ms", "floor ms", "sum ms", "plugin / sum", "(of a round)"}, rows)
	return nil
}

// freshTurn returns the processor time of one operation, and of fresh reads how many there were in a second.
func (b *bench) freshTurn(r *rig, turn, clients int) (time.Duration, float64, error) {
	n := b.size.tokens
	switch turn {
	case turnSign:
		return b.childTurn(jobSign, clients, n)
	case turnPost:
		return b.childTurn(jobPost, clients, n*timesPosts)
	}
	e := fresh
	if turn == turnFloor {
		e, n = floor, n*timesFloors
	}
	var o outcome
	spent, err := r.cpuOf(e, func() (err error) {
		o, err = r.read(e.path, load{clients: clients, requests: n})
		return err
	})
	return spent / time.Duration(n), o.perSecond(), err
}

func (b *bench) childTurn(job string, clients, n int) (time.Duration, float64, error) {
	result, err := b.runChild(job, clients, n)
	return result.CPU / time.Duration(n), 0, err
}
