package main

import (
	"encoding/json"
	"os"
)

// figures are what a run has measured, for tools/plots, which draws them. docs/figures.json holds those of one run.
type figures struct {
	Machine    []string          `json:"machine"`
	Quick      bool              `json:"quick,omitempty"`
	Shared     []sharedFigure    `json:"shared,omitempty"`
	Fresh      []freshFigure     `json:"fresh,omitempty"`
	Latency    []latencyFigure   `json:"latency,omitempty"`
	Queue      *queueFigures     `json:"queue,omitempty"`
	Memory     *memoryFigures    `json:"memory,omitempty"`
	Revocation []revokeFigure    `json:"revocation,omitempty"`
	Scale      []scaleFigure     `json:"scale,omitempty"`
	Goals      []publishedFigure `json:"goals,omitempty"`
}

// sharedFigure is what so many clients got from an engine. Storage is "memory" or "raft".
type sharedFigure struct {
	Storage        string  `json:"storage"`
	Clients        int     `json:"clients"`
	Engine         string  `json:"engine"`
	ReadsPerSecond float64 `json:"reads_per_second"`
	Ratio          float64 `json:"ratio"` // of shared reads to these
	P50            float64 `json:"p50_ms"`
	P99            float64 `json:"p99_ms"`
	PluginCPU      float64 `json:"plugin_cpu_us"`
	VaultCPU       float64 `json:"vault_cpu_us"`
}

// freshFigure is the processor time of a fresh read, in milliseconds.
type freshFigure struct {
	Clients   int     `json:"clients"`
	Plugin    float64 `json:"plugin_ms"`
	Signature float64 `json:"signature_ms"`
	Post      float64 `json:"post_ms"`
	Lean      float64 `json:"lean_ms"`
	Ratio     float64 `json:"ratio"`
}

// latencyFigure is what a fresh read adds to the time that Workfront takes, in milliseconds, and what its parts take
// alone.
type latencyFigure struct {
	Load      string  `json:"load"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Signature float64 `json:"signature_ms"`
	Post      float64 `json:"post_ms"`
	Lean      float64 `json:"lean_ms"`
}

type queueFigures struct {
	ReadsPerSecond float64 `json:"reads_per_second"`
	P50            float64 `json:"p50_ms"`
	P99            float64 `json:"p99_ms"`
	TooManyCalls   int     `json:"too_many_calls"`
}

type memoryFigures struct {
	Reads    []float64 `json:"thousand_reads"`
	HeapKiB  []float64 `json:"heap_kib"`
	Slope    float64   `json:"slope_kib_per_thousand"`
	Interval float64   `json:"slope_interval"` // 95 %, to either side
}

type revokeFigure struct {
	Way     string  `json:"way"`
	Engine  string  `json:"engine"`
	Leases  int     `json:"leases"`
	Seconds float64 `json:"seconds"`
	Logouts int     `json:"logouts"`
}

type scaleFigure struct {
	Leases         int     `json:"leases"`
	Engine         string  `json:"engine"`
	ReadsPerSecond float64 `json:"reads_per_second"`
	Memory         float64 `json:"memory_bytes"`
}

type publishedFigure struct {
	What     string  `json:"what"`
	Measured float64 `json:"measured"`
	Limit    float64 `json:"limit"`
	Least    bool    `json:"least"`
	Unit     string  `json:"unit,omitempty"`
	Met      bool    `json:"met"`
}

// write stores the figures so far.
func (f *figures) write(file string, goals []goal) error {
	if file == "" {
		return nil
	}
	f.Goals = nil
	for _, g := range goals {
		f.Goals = append(f.Goals, publishedFigure{g.what, g.value, g.limit, g.least, g.unit, g.met()})
	}
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o600)
}
