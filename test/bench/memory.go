package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// What is read and revoked before the heap is looked at.
const (
	memoryBatch   = 2_000
	memoryClients = 16
)

// flatMemory looks at the plugin's heap while fresh tokens are read and revoked.
func (b *bench) flatMemory() error {
	b.section("Flat memory", fmt.Sprintf("The plugin's heap after a garbage collection, each time %d fresh tokens have been read by %d clients and revoked.\n"+
		"Slope: the straight line with the least squares, with its 95 %% confidence interval.", memoryBatch, memoryClients))
	r, err := b.newRig(profiled)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	p, err := r.process(profiled)
	if err != nil {
		return err
	}
	var rows [][]string
	var reads, heaps []float64
	// The first batch fills pools and caches.
	for batch := range b.size.batches + 1 {
		if _, err := r.read(profiled.path, load{clients: memoryClients, requests: memoryBatch}); err != nil {
			return err
		}
		if err := r.revokeInBackground(profiled); err != nil {
			return err
		}
		heap, err := liveHeap(p)
		if err != nil {
			return err
		}
		rows = append(rows, []string{fmt.Sprint((batch + 1) * memoryBatch), fmt.Sprintf("%.0f", heap/1024)})
		if batch > 0 {
			reads, heaps = append(reads, float64(batch*memoryBatch)/1000), append(heaps, heap/1024)
		}
	}
	b.table([]string{"reads and revocations", "heap, KiB"}, rows)
	slope, interval := line(reads, heaps)
	b.line("Slope, without the first batch: %.2f KiB for 1,000 reads, +/- %.2f", slope, interval)
	b.figures.Memory = &memoryFigures{Reads: reads, HeapKiB: heaps, Slope: slope, Interval: interval}
	b.atMost("flat memory: slope beyond the noise of the run", math.Max(0, slope-interval), 0, " KiB/1000")
	return nil
}

// tValues are the quantiles of Student's distribution for 95 %, two-sided, by the degrees of freedom.
var tValues = []float64{0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23}

// line fits a straight line by least squares, and returns its slope and half of the slope's 95 % confidence interval.
func line(x, y []float64) (slope, interval float64) {
	n := float64(len(x))
	var meanX, meanY float64
	for i := range x {
		meanX += x[i] / n
		meanY += y[i] / n
	}
	var xx, xy float64
	for i := range x {
		xx += (x[i] - meanX) * (x[i] - meanX)
		xy += (x[i] - meanX) * (y[i] - meanY)
	}
	slope = xy / xx
	var rest float64
	for i := range x {
		off := y[i] - meanY - slope*(x[i]-meanX)
		rest += off * off
	}
	free := len(x) - 2
	return slope, tValues[min(free, len(tValues)-1)] * math.Sqrt(rest/float64(free)/xx)
}

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)`)

// liveHeap is what the heap of a profiled plugin holds after garbage collections, in bytes: what the first one finds to
// be finalized is free after the second.
func liveHeap(p process) (heap float64, err error) {
	for range 2 {
		text, err := fetchProfile(p, "heap?gc=1&debug=1", time.Minute)
		if err != nil {
			return 0, err
		}
		found := heapAlloc.FindSubmatch(text)
		if found == nil {
			return 0, fmt.Errorf("the profile of the heap holds no HeapAlloc")
		}
		if heap, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
			return 0, err
		}
	}
	return heap, nil
}
