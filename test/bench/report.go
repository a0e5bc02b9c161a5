package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints what was measured, as it becomes known, and the goals at the end.
type report struct {
	out   io.Writer
	goals []goal
}

// goal is a ratio or a number that the plugin is to reach.
type goal struct {
	what  string
	value float64
	limit float64
	least bool // the limit is the least value, else the greatest
	unit  string
}

func (g goal) met() bool {
	if g.least {
		return g.value >= g.limit
	}
	return g.value <= g.limit
}

func (g goal) verdict() string {
	if g.met() {
		return "met"
	}
	return "MISSED"
}

func (r *report) section(title, explanation string) {
	_, _ = fmt.Fprintf(r.out, "\n== %s\n%s\n\n", title, explanation)
}

func (r *report) line(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) }

// table prints rows under a head, the first column to the left, the others to the right.
func (r *report) table(head []string, rows [][]string) {
	w := tabwriter.NewWriter(r.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	width := 0
	for _, row := range rows {
		width = max(width, len([]rune(row[0])))
	}
	for _, row := range append([][]string{head}, rows...) {
		first := row[0] + strings.Repeat(" ", max(0, width-len([]rune(row[0]))))
		_, _ = fmt.Fprintln(w, strings.Join(append([]string{first}, row[1:]...), "\t")+"\t")
	}
	_ = w.Flush()
	_, _ = fmt.Fprintln(r.out)
}

func (r *report) atLeast(what string, value, limit float64) {
	r.goals = append(r.goals, goal{what: what, value: value, limit: limit, least: true})
}

func (r *report) atMost(what string, value, limit float64, unit string) {
	r.goals = append(r.goals, goal{what: what, value: value, limit: limit, unit: unit})
}

// summary prints all goals.
func (r *report) summary() {
	if len(r.goals) == 0 {
		return
	}
	r.section("Goals", "Ratios are of this run alone.")
	rows := make([][]string, 0, len(r.goals))
	for _, g := range r.goals {
		sign := "<="
		if g.least {
			sign = ">="
		}
		rows = append(rows, []string{g.what, number(g.value) + g.unit, sign + " " + number(g.limit) + g.unit, g.verdict()})
	}
	r.table([]string{"", "measured", "goal", ""}, rows)
}

// number prints a value with the digits that mean something.
func number(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func megabytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// median of what the rounds gave. It is 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratio is the median of the ratios of each round: a round's turns were side by side in time.
func ratio(values, to []float64) float64 { return median(ratios(values, to)) }

func ratios(values, to []float64) []float64 {
	out := make([]float64, len(values))
	for i := range values {
		out[i] = values[i] / to[i]
	}
	return out
}

// spread prints the least and the greatest ratio of a round.
func spread(values, to []float64) string {
	all := ratios(values, to)
	return fmt.Sprintf("%.2f to %.2f", slices.Min(all), slices.Max(all))
}
