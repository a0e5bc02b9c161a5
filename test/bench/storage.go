package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// storageOps are the calls to storage that Vault counts, as its metrics name them.
var storageOps = []string{"put", "get", "list", "delete"}

// sampled is how many operations the calls are counted over.
const sampled = 500

// storageCalls counts the plugin's calls to storage.
func (b *bench) storageCalls() error {
	b.section("Storage", fmt.Sprintf("Calls to storage for each operation, over %d of them: what Vault's telemetry (vault.barrier.*) counted, less what it counted\n"+
		"for the same number of lean no-op reads or revocations, which make none of their own.", sampled))
	engines := []engine{shared, fresh, leanPut, leanCalls, leanNoop}
	r, err := b.startRig(rigOptions{telemetry: true}, engines)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	reads, revocations := map[string][]float64{}, map[string][]float64{}
	for _, e := range engines {
		// A shared session is started by its first read, which is not counted.
		if _, err := r.read(e.path, load{clients: 1, requests: 1}); err != nil {
			return err
		}
		if reads[e.name], err = r.counting(func() error {
			_, err := r.read(e.path, load{clients: 1, requests: sampled})
			return err
		}); err != nil {
			return err
		}
		if revocations[e.name], err = r.counting(func() error { return r.revoke(e) }); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, what := range []struct {
		name    string
		counted map[string][]float64
		of      float64
	}{{"read", reads, sampled}, {"revocation", revocations, sampled + 1}} {
		for _, e := range engines[:len(engines)-1] {
			row := []string{what.name + ", " + e.name}
			for i := range storageOps {
				row = append(row, fmt.Sprintf("%.2f", (what.counted[e.name][i]-what.counted[leanNoop.name][i])/what.of))
			}
			rows = append(rows, row)
		}
	}
	b.table(append([]string{""}, "puts", "gets", "lists", "deletes"), rows)
	b.line("The last lease on a shared session logs it out, and removes it from the ledger; that one is among the %d.", sampled+1)
	return nil
}

// counting returns how many calls of each kind Vault made while something was done.
func (r *rig) counting(do func() error) ([]float64, error) {
	before, err := r.barrierCalls()
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	after, err := r.barrierCalls()
	for i := range after {
		after[i] -= before[i]
	}
	return after, err
}

// barrierCalls reads Vault's counters, in the order of storageOps.
func (r *rig) barrierCalls() ([]float64, error) {
	req, err := http.NewRequest(http.MethodGet, "http://vault/v1/sys/metrics?format=prometheus", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", r.token)
	client := http.Client{Transport: r.vault.Transport()}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: status %d", resp.StatusCode)
	}
	values := map[string]string{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), " "); found {
			values[name] = value
		}
	}
	calls := make([]float64, len(storageOps))
	for i, op := range storageOps {
		name := "vault_barrier_" + op + "_count"
		if values[name] == "" && i > 0 {
			continue // Vault shows no counter that is 0; that of puts is not
		}
		if calls[i], err = strconv.ParseFloat(values[name], 64); err != nil {
			return nil, fmt.Errorf("read metrics: %s: %w", name, err)
		}
	}
	return calls, lines.Err()
}
