package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"
)

// start measures how soon a new process of a plugin gives the first token.
func (b *bench) start() error {
	b.section("Start", "From the start of the plugin's process, at a reload, to its first token; memory then, with no load yet.")
	r, err := b.newRig(shared, fresh, leanNoop)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	engines := []engine{shared, fresh, leanNoop}
	took, memory := make([][]float64, len(engines)), make([][]float64, len(engines))
	err = interleave(b.size.rounds, len(engines), func(_, i int) error {
		e := engines[i]
		// There is something to take over from the process before.
		if _, err := r.read(e.path, load{clients: 1, requests: 1}); err != nil {
			return err
		}
		if _, err := r.vault.Root.Sys().ReloadPlugin(&api.ReloadPluginInput{Plugin: e.program}); err != nil {
			return err
		}
		if _, err := r.read(e.path, load{clients: 1, requests: 1}); err != nil {
			return err
		}
		read := time.Now()
		p, err := r.process(e)
		if err != nil {
			return err
		}
		age, err := p.age()
		if err != nil {
			return err
		}
		resident, err := p.resident()
		took[i] = append(took[i], milliseconds(age-time.Since(read)))
		memory[i] = append(memory[i], resident)
		return err
	})
	if err != nil {
		return err
	}
	var rows [][]string
	for i, e := range engines {
		info, err := os.Stat(filepath.Join(b.plugins, e.program))
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			e.name, fmt.Sprintf("%.0f", median(took[i])), megabytes(median(memory[i])), megabytes(float64(info.Size())),
		})
	}
	b.table([]string{"", "first token, ms", "memory", "binary"}, rows)
	return nil
}
