package main

import (
	"fmt"
	"strings"
	"time"
)

// clientCounts are how many read at a time.
var clientCounts = []int{1, 16, 128}

// series is what the rounds of one engine gave.
type series struct {
	perSecond, p50, p99  []float64 // latencies in ms
	pluginCPU, vaultCPU  []float64 // microseconds for each read
	pluginProc, vaultPID process
}

// sharedReads measures reads of a shared session.
func (b *bench) sharedReads() error {
	b.section("Shared read", "Ratios: shared / the other. CPU: of the plugin's process and of Vault's, for each read.")
	r, err := b.newRig(shared, floor, noop)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	engines := []engine{shared, floor, noop}
	var sizes []string
	for _, e := range engines {
		size, err := r.payload(e)
		if err != nil {
			return err
		}
		sizes = append(sizes, fmt.Sprintf("%s %d bytes", e.name, size))
	}
	b.line("payload  %s\n", strings.Join(sizes, ", "))
	var rows [][]string
	for _, clients := range clientCounts {
		measured, err := r.sideBySide(engines, b.size.rounds, load{clients: clients, lasting: b.size.round})
		if err != nil {
			return err
		}
		ours := measured[0]
		for i, e := range engines {
			rows = append(rows, append([]string{clientsText(clients) + ", " + e.name}, measured[i].cells(ours)...))
		}
		b.sharedGoals(clients, ours, measured[1], measured[2])
	}
	b.table([]string{"", "reads/s", "ratio", "of the rounds", "p50 ms", "p99 ms", "p99 ratio", "CPU us", "Vault CPU us"}, rows)
	return nil
}

func (b *bench) sharedGoals(clients int, ours, floor, noop *series) {
	who := ", " + clientsText(clients)
	b.atLeast("shared read: throughput / floor"+who, ratio(ours.perSecond, floor.perSecond), 0.90)
	b.atLeast("shared read: throughput / no-op"+who, ratio(ours.perSecond, noop.perSecond), 0.65)
	if clients <= 16 {
		b.atMost("shared read: p99 / floor"+who, ratio(ours.p99, floor.p99), 1.2, "")
	}
}

// cells are the figures of a series, and how those of ours compare.
func (s *series) cells(ours *series) []string {
	against, of, p99 := "", "", ""
	if s != ours {
		against, of = number(ratio(ours.perSecond, s.perSecond)), spread(ours.perSecond, s.perSecond)
		p99 = number(ratio(ours.p99, s.p99))
	}
	return []string{
		fmt.Sprintf("%.0f", median(s.perSecond)), against, of, number(median(s.p50)), number(median(s.p99)), p99,
		fmt.Sprintf("%.0f", median(s.pluginCPU)), fmt.Sprintf("%.0f", median(s.vaultCPU)),
	}
}

// sideBySide has clients read from the engines in turn.
func (r *rig) sideBySide(engines []engine, rounds int, l load) ([]*series, error) {
	measured := make([]*series, len(engines))
	for i, e := range engines {
		// Warms up connections, caches and the shared session.
		if _, err := r.read(e.path, load{clients: l.clients, requests: 20 * l.clients}); err != nil {
			return nil, err
		}
		p, err := r.process(e)
		if err != nil {
			return nil, err
		}
		measured[i] = &series{pluginProc: p, vaultPID: process(r.vault.PID())}
	}
	err := interleave(rounds, len(engines), func(_, i int) error { return measured[i].turn(r, engines[i], l) })
	return measured, err
}

// turn is one round of one engine.
func (s *series) turn(r *rig, e engine, l load) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	o, err := r.read(e.path, l)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	perRead := func(i int) float64 {
		return float64(after[i]-before[i]) / float64(time.Microsecond) / float64(o.requests)
	}
	s.perSecond = append(s.perSecond, o.perSecond())
	s.p50 = append(s.p50, milliseconds(o.percentile(50)))
	s.p99 = append(s.p99, milliseconds(o.percentile(99)))
	s.pluginCPU = append(s.pluginCPU, perRead(0))
	s.vaultCPU = append(s.vaultCPU, perRead(1))
	return nil
}

func (s *series) cpu() (times [2]time.Duration, err error) {
	for i, p := range []process{s.pluginProc, s.vaultPID} {
		if times[i], err = p.cpu(); err != nil {
			return times, err
		}
	}
	return times, nil
}
