// Command plots draws the figures of a benchmark (docs/figures.json) as SVG files for docs/performance.md.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// figures are what the benchmark writes (test/bench), as far as it is drawn.
type figures struct {
	Shared []struct {
		Storage        string  `json:"storage"`
		Clients        int     `json:"clients"`
		Engine         string  `json:"engine"`
		ReadsPerSecond float64 `json:"reads_per_second"`
	} `json:"shared"`
	Latency []struct {
		Load      string  `json:"load"`
		P50       float64 `json:"p50_ms"`
		Signature float64 `json:"signature_ms"`
		Post      float64 `json:"post_ms"`
		Lean      float64 `json:"lean_ms"`
	} `json:"latency"`
	Revocation []struct {
		Way     string  `json:"way"`
		Engine  string  `json:"engine"`
		Leases  int     `json:"leases"`
		Seconds float64 `json:"seconds"`
	} `json:"revocation"`
	Scale []struct {
		Leases         int     `json:"leases"`
		Engine         string  `json:"engine"`
		ReadsPerSecond float64 `json:"reads_per_second"`
		Memory         float64 `json:"memory_bytes"`
	} `json:"scale"`
}

func main() {
	from := flag.String("figures", "", "JSON `file` that the benchmark has written")
	dir := flag.String("dir", "", "`directory` for the SVG files; exists")
	flag.Parse()
	if err := run(*from, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "plots:", err)
		os.Exit(1)
	}
}

func run(from, dir string) error {
	content, err := os.ReadFile(from) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	var f figures
	if err := json.Unmarshal(content, &f); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	for _, drawing := range []struct {
		file string
		draw func(*figures) ([]byte, error)
	}{
		{"throughput-memory.svg", func(f *figures) ([]byte, error) { return f.throughput("memory", "storage in memory") }},
		{"throughput-raft.svg", func(f *figures) ([]byte, error) { return f.throughput("raft", "one Raft node") }},
		{"latency.svg", (*figures).latency},
		{"revocation.svg", (*figures).revocation},
		{"scale-reads.svg", (*figures).scaleReads},
		{"scale-memory.svg", (*figures).scaleMemory},
	} {
		svg, err := drawing.draw(&f)
		if errors.Is(err, errNoFigures) {
			fmt.Printf("%s: %v; left as it is\n", drawing.file, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", drawing.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, drawing.file), svg, 0o644); err != nil { //nolint:gosec // published
			return err
		}
	}
	return nil
}
