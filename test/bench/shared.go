package main

import (
	"fmt"
	"strings"
	"time"
)

// clientCounts are how many read at a time.
var clientCounts = []int{1, 16, 64, 128}

// storages are where Vault keeps what is stored: in memory, which shows the plugin best, and with Raft, as production
// does.
var storages = []struct {
	name, title string
	raft        bool
}{
	{"memory", "in memory", false},
	{"raft", "one Raft node", true},
}

// series is what the rounds of one engine gave.
type series struct {
	perSecond, p50, p99  []float64 // latencies in ms
	pluginCPU, vaultCPU  []float64 // microseconds for each read
	pluginProc, vaultPID process
}

// sharedReads measures reads of a shared session.
func (b *bench) sharedReads() error {
	b.section("Shared read", "Ratios: shared / the other. CPU: of the plugin's process and of Vault's, for each read.")
	for _, storage := range storages {
		if err := b.sharedReadsOn(storage.name, storage.title, storage.raft); err != nil {
			return fmt.Errorf("%s: %w", storage.title, err)
		}
	}
	return nil
}

func (b *bench) sharedReadsOn(storage, title string, raft bool) error {
	engines := []engine{shared, leanPut, leanNoop}
	r, err := b.startRig(rigOptions{raft: raft}, engines)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	var sizes []string
	for _, e := range engines {
		size, err := r.payload(e)
		if err != nil {
			return err
		}
		sizes = append(sizes, fmt.Sprintf("%s %d bytes", e.name, size))
	}
	b.line("storage  %s\npayload  %s\n", title, strings.Join(sizes, ", "))
	var rows [][]string
	for _, clients := range clientCounts {
		measured, err := r.sideBySide(engines, b.size.rounds, load{clients: clients, lasting: b.size.round})
		if err != nil {
			return err
		}
		ours := measured[0]
		for i, e := range engines {
			s := measured[i]
			rows = append(rows, append([]string{clientsText(clients) + ", " + e.name}, s.cells(ours)...))
			b.figures.Shared = append(b.figures.Shared, sharedFigure{
				Storage: storage, Clients: clients, Engine: e.name,
				ReadsPerSecond: median(s.perSecond), Ratio: ratio(ours.perSecond, s.perSecond),
				P50: median(s.p50), P99: median(s.p99), PluginCPU: median(s.pluginCPU), VaultCPU: median(s.vaultCPU),
			})
		}
		b.sharedGoals(raft, title, clients, measured)
	}
	b.table([]string{"", "reads/s", "ratio", "of the rounds", "p50 ms", "p99 ms", "p99 ratio", "CPU us", "Vault CPU us"}, rows)
	return nil
}

func (b *bench) sharedGoals(raft bool, title string, clients int, measured []*series) {
	who := ", " + title + ", " + clientsText(clients)
	ours, put, noop := measured[0], measured[1], measured[2]
	if raft || clients != 64 {
		least := 1.0
		if raft && clients > 1 {
			least = 1.1
		}
		b.atLeast("shared read / lean put"+who, ratio(ours.perSecond, put.perSecond), least)
	}
	if (raft && clients >= 64) || (!raft && clients == 16) {
		b.atLeast("shared read / lean no-op"+who, ratio(ours.perSecond, noop.perSecond), 0.85)
	}
	b.atMost("shared read: CPU of the plugin / lean put's"+who, ratio(ours.pluginCPU, put.pluginCPU), 1.1, "")
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
