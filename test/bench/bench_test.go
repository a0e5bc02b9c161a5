package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedianAndRatio(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v: got %v, want %v", test.values, got, test.want)
		}
	}
	// The machine was ten times as slow in the second round: that must not show.
	ours, others := []float64{90, 9, 80}, []float64{100, 10, 100}
	if got := ratio(ours, others); got != 0.9 {
		t.Errorf("ratio: got %v, want 0.9", got)
	}
	if got, want := spread(ours, others), "0.80 to 0.90"; got != want {
		t.Errorf("spread: got %q, want %q", got, want)
	}
}

func TestPercentile(t *testing.T) {
	var o outcome
	if got := o.percentile(99); got != 0 {
		t.Errorf("of nothing: got %s, want 0", got)
	}
	for i := range 101 {
		o.latencies = append(o.latencies, time.Duration(i))
	}
	for _, percent := range []int{0, 50, 99, 100} {
		if got := o.percentile(percent); got != time.Duration(percent) {
			t.Errorf("percentile %d: got %d, want %d", percent, got, percent)
		}
	}
}

func TestInterleave(t *testing.T) {
	var turns []string
	err := interleave(3, 3, func(round, participant int) error {
		turns = append(turns, fmt.Sprint(round, participant))
		return nil
	})
	want := []string{"0 0", "0 1", "0 2", "1 1", "1 2", "1 0", "2 2", "2 0", "2 1"}
	if err != nil || !slices.Equal(turns, want) {
		t.Errorf("got %v, %v, want %v", turns, err, want)
	}
}

func TestWantLease(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		good   bool
	}{
		{"leased", 200, `{"request_id":"r","lease_id":"noop/token/x","renewable":false}`, true},
		{"no lease", 200, `{"request_id":"r","lease_id":"","renewable":false}`, false},
		{"something else", 200, `{}`, false},
		{"refused", 400, `{"errors":["\"lease_id\":\"x\""]}`, false},
	} {
		if err := wantLease(test.status, []byte(test.body)); (err == nil) != test.good {
			t.Errorf("%s: got %v, want success %t", test.name, err, test.good)
		}
	}
}

func TestGoals(t *testing.T) {
	var out strings.Builder
	r := report{out: &out}
	r.atLeast("throughput", 0.90, 0.90)
	r.atMost("latency", 5.01, 5, " ms")
	r.summary()
	for _, line := range []string{"throughput 0.90 >= 0.90 met", "latency 5.01 ms <= 5 ms MISSED"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), line) {
			t.Errorf("the summary lacks %q:\n%s", line, &out)
		}
	}
}

func TestLine(t *testing.T) {
	for _, test := range []struct {
		name            string
		y               []float64
		slope, interval float64
	}{
		{"flat", []float64{5, 5, 5, 5}, 0, 0},
		{"rises", []float64{1, 3, 5, 7}, 2, 0},
		// The residuals are -0.4, 1.2, -1.2, 0.4: a variance of 1.6, over a spread of x of 5, times 4.30.
		{"noise", []float64{1, 3, 1, 3}, 0.4, 2.43},
	} {
		slope, interval := line([]float64{0, 1, 2, 3}, test.y)
		if math.Abs(slope-test.slope) > 0.01 || math.Abs(interval-test.interval) > 0.01 {
			t.Errorf("%s: got %.2f +/- %.2f, want %.2f +/- %.2f", test.name, slope, interval, test.slope, test.interval)
		}
	}
}

func TestFiguresAreWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	f := figures{Shared: []sharedFigure{{Storage: "raft", Clients: 16, Engine: "shared", ReadsPerSecond: 1000}}}
	if err := f.write(file, []goal{{what: "a ratio", value: 0.9, limit: 1, least: true}}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{`"storage": "raft"`, `"reads_per_second": 1000`, `"what": "a ratio"`, `"met": false`} {
		if !strings.Contains(string(content), member) {
			t.Errorf("the file lacks %s:\n%s", member, content)
		}
	}
}

func TestOwnProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return // not Linux: the benchmark says so and ends
	}
	self := process(os.Getpid())
	age, err := self.age()
	if err != nil || age < -time.Second || age > time.Hour {
		t.Errorf("age: got %s, %v, want that of a test", age, err)
	}
	if resident, err := self.resident(); err != nil || resident < 1<<20 || resident > 1<<32 {
		t.Errorf("resident: got %f, %v, want some megabytes", resident, err)
	}
	before, err := self.cpu()
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < time.Minute; {
		now, err := self.cpu()
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			return
		}
	}
	t.Error("cpu: a minute of work took no processor time")
}
