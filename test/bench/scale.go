package main

import (
	"fmt"
	"time"
)

// levelReads is how many reads a turn has: few, because each adds a lease to the number that is measured at.
const levelReads = 2_000

// scaleClients is how many read at a time.
const scaleClients = 16

// scale measures shared reads, memory and the periodic job with more and more live leases.
func (b *bench) scale() error {
	b.section("Scale", fmt.Sprintf("Shared reads by %d clients with so many live leases when the first turn of %d reads begins, for each engine; and the memory\n"+
		"of the plugin's process after these turns.", scaleClients, levelReads))
	engines := []engine{shared, leanPut, leanNoop}
	r, err := b.newRig(engines...)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	live := make([]int, len(engines))
	idle := map[int]*rig{}
	var rows [][]string
	var againstPut, memory []float64
	for _, level := range b.size.levels {
		perSecond := make([][]float64, len(engines))
		err := interleave(b.size.few, len(engines), func(_, i int) error {
			if live[i], err = r.bringTo(level, engines[i], live[i]); err != nil {
				return err
			}
			o, err := r.read(engines[i].path, load{clients: scaleClients, requests: levelReads})
			live[i] += o.requests
			perSecond[i] = append(perSecond[i], o.perSecond())
			return err
		})
		if err != nil {
			return err
		}
		row := []string{fmt.Sprintf("%d leases", level)}
		resident := make([]float64, len(engines))
		for i, e := range engines {
			if resident[i], err = r.residentOf(e); err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%.0f", median(perSecond[i])))
			b.figures.Scale = append(b.figures.Scale, scaleFigure{
				Leases: level, Engine: e.name, ReadsPerSecond: median(perSecond[i]), Memory: resident[i],
			})
		}
		againstPut = append(againstPut, ratio(perSecond[0], perSecond[1]))
		memory = append(memory, resident[0]/resident[2])
		row = append(row, number(againstPut[len(againstPut)-1]))
		for i := range engines {
			row = append(row, megabytes(resident[i]))
		}
		rows = append(rows, append(row, number(memory[len(memory)-1])))
	}
	b.table([]string{
		"", "shared reads/s", "lean put", "lean no-op", "shared / lean put",
		"shared memory", "lean put", "lean no-op", "shared / lean no-op",
	}, rows)
	last := len(b.size.levels) - 1
	most := fmt.Sprintf("%d leases", b.size.levels[last])
	b.atLeast(fmt.Sprintf("scale: (plugin / lean put at %s) / (at %d)", most, b.size.levels[0]), againstPut[last]/againstPut[0], 0.9)
	b.atMost("scale: plugin memory / lean no-op's, "+most, memory[last], 1.5, "")

	idle[b.size.levels[last]] = r
	return b.periodicJob(engines, idle)
}

// bringTo has an engine hold so many leases, and returns how many it does. If it holds more, all of them are revoked first,
// but where some thousands make no difference.
func (r *rig) bringTo(level int, e engine, live int) (int, error) {
	if live > level && live-level > level/2 {
		if err := r.revoke(e); err != nil {
			return live, err
		}
		live = 0
	}
	if live >= level {
		return live, nil
	}
	_, err := r.read(e.path, load{clients: scaleClients, requests: level - live})
	return level, err
}

// periodicJob measures what the periodic job costs when there is nothing for it to do. Vault runs it once a minute. The rig
// with the most leases is there already; the others idle beside it.
func (b *bench) periodicJob(engines []engine, rigs map[int]*rig) error {
	b.section("Periodic job", fmt.Sprintf("Processor time of the plugins' processes in %s without a request, in which Vault runs the periodic job once; nothing has\n"+
		"expired. Lean engines have no such job: their time is what a process costs anyhow.", b.size.idle))
	for _, level := range b.size.levels {
		if rigs[level] != nil {
			continue
		}
		r, err := b.newRig(engines...)
		if err != nil {
			return err
		}
		defer r.vault.Stop()
		for _, e := range engines {
			if _, err := r.bringTo(level, e, 0); err != nil {
				return err
			}
		}
		rigs[level] = r
	}
	spent := map[int][3]time.Duration{}
	add := func(sign time.Duration) error {
		for level, r := range rigs {
			now := spent[level]
			for i, e := range engines {
				p, err := r.process(e)
				if err != nil {
					return err
				}
				cpu, err := p.cpu()
				if err != nil {
					return err
				}
				now[i] += sign * cpu
			}
			spent[level] = now
		}
		return nil
	}
	if err := add(-1); err != nil {
		return err
	}
	<-time.After(b.size.idle)
	if err := add(1); err != nil {
		return err
	}
	var rows [][]string
	for _, level := range b.size.levels {
		row := []string{fmt.Sprintf("%d leases", level)}
		for _, cpu := range spent[level] {
			row = append(row, number(milliseconds(cpu)))
		}
		rows = append(rows, row)
	}
	b.table([]string{"", "shared CPU ms", "lean put", "lean no-op"}, rows)
	last := b.size.levels[len(b.size.levels)-1]
	b.atMost(fmt.Sprintf("periodic job: CPU of the plugin in a minute, %d leases", last), milliseconds(spent[last][0]), 50, " ms")
	return nil
}
