package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	// minRounds are one to warm up, in which the plugin is restarted, and two to compare.
	minRounds = 3
	// What memory may grow by: it depends on when the garbage collector and the operating system get to it.
	heapSlack     = 1 << 20
	residentSlack = 8 << 20
)

func (k *soak) print(format string, args ...any) { _, _ = fmt.Fprintf(k.out, format+"\n", args...) }

func (k *soak) printBegin() {
	k.print("soak: %s of rounds of %s, the third after a steady load of %s, with %d workers, seed %d", k.time, k.round, k.steady, k.workers, k.seed)
	k.print("Sessions expire after %s, or when nobody uses them for %s; %d calls at a time.", sessionTTL, idle, customersLimit)
	k.print("The seed decides what each worker does and which faults come; when they meet is up to the machine.")
	k.print("%5s %7s %10s %8s %10s %8s %11s %10s %5s %11s %8s %8s %7s", "round", "time", "operations", "started", "logged out", "expired",
		"undelivered", "goroutines", "files", "connections", "heap MB", "RSS MB", "entries")
}

func (k *soak) printRound(r round) {
	k.print("%5d %6.0fs %10d %8d %10d %8d %11d %10d %5d %11d %8.2f %8.1f %7d", len(k.rounds), r.at.Seconds(), r.operations,
		r.stats.Started, r.stats.LoggedOut, r.stats.Expired, r.stats.Undelivered,
		r.goroutines, r.files, r.connections, mb(r.heap), mb(r.resident), r.entries)
}

func mb(bytes int) float64 { return float64(bytes) / 1e6 }

// report prints what came of it all and tells whether that is what it should be.
func (k *soak) report() bool {
	size := k.searchLog()
	k.printCounts()
	k.print("searched %.1f MB of log for %d client secrets and access tokens, JWTs, private keys and refresh tokens", mb(size), len(k.secrets.kinds))
	if len(k.rounds) >= minRounds {
		k.sawEnds()
		k.compare()
		k.judgeSlope()
		k.printAccounts()
	} else {
		k.tally.fail("only %d rounds were made, which shows nothing", len(k.rounds))
	}
	for _, text := range k.tally.texts {
		k.print("FAILED  %s", text)
	}
	if k.tally.failures > 0 {
		k.print("soak: %d failures; seed %d", k.tally.failures, k.seed)
		return false
	}
	k.print("soak: %d operations, nothing unexpected, nothing grew; seed %d", k.tally.total(), k.seed)
	return true
}

// compare says of each figure whether it has grown since the first rest after the warm-up, in which the process was
// restarted.
func (k *soak) compare() {
	first, last := k.rounds[1], k.rounds[len(k.rounds)-1]
	for _, r := range k.rounds[1:] {
		if r.pid != k.rounds[0].pid {
			k.tally.fail("the plugin's process was %d after the warm-up and %d later: it has ended", k.rounds[0].pid, r.pid)
			return
		}
	}
	failures := k.tally.failures
	for _, f := range []struct {
		name        string
		first, last int
		slack       int
		show        func(int) string
	}{
		{"goroutines", first.goroutines, last.goroutines, 0, number},
		{"open files", first.files, last.files, 0, number},
		{"connections to Workfront", first.connections, last.connections, 0, number},
		{"entries in storage", first.entries, last.entries, 0, number},
		{"heap after collection", first.heap, last.heap, heapSlack + first.heap/10, megabytes},
		{"resident memory", first.resident, last.resident, residentSlack + first.resident/10, megabytes},
	} {
		verdict := "ok"
		if f.last > f.first+f.slack {
			verdict = "GROWN"
			k.tally.fail("%s: %s after round 2, %s at the end, more than %s more", f.name, f.show(f.first), f.show(f.last), f.show(f.slack))
		}
		k.print("%-26s %10s after round 2, %10s at the end: %s", f.name, f.show(f.first), f.show(f.last), verdict)
	}
	if k.tally.failures > failures {
		k.print("what has grown may be seen in the profiles of each round, beside the logs")
	}
}

func number(n int) string        { return fmt.Sprint(n) }
func megabytes(bytes int) string { return fmt.Sprintf("%.2f MB", mb(bytes)) }

// printAccounts says what became of the sessions.
func (k *soak) printAccounts() {
	s := k.rounds[len(k.rounds)-1].stats
	orphaned := 0
	for _, r := range k.rounds {
		orphaned += r.orphaned
	}
	k.print("sessions: %d started = %d logged out + %d expired + %d never delivered + %d alive", s.Started, s.LoggedOut, s.Expired, s.Undelivered, s.Alive)
	dropped, err := k.dropped()
	if err != nil {
		k.tally.fail("%v", err)
	}
	k.print("sessions dropped past their expiry, because Workfront refused: %d; lost with the killed process: %d; "+
		"whose reader left while the answer was on its way to Vault: %d", len(dropped), len(k.lost), orphaned)
	k.print("requests to Workfront: %d exchanges (%d refused, %d brought a session again), %d logouts, %d other calls, over %d connections",
		s.Exchanges, s.Refused, s.Reissued, s.Logouts, s.APICalls, s.Connections)
	k.print("calls at a time: %d at most; %d were one too many for the customer's limit of %d", s.PeakCalls, s.TooManyCalls, customersLimit)
	if s.Started != s.LoggedOut+s.Expired+s.Undelivered || s.Alive != 0 {
		k.tally.fail("sessions do not add up: %+v", s)
	}
}

// printCounts lists what came of the operations, and the faults.
func (k *soak) printCounts() {
	table := tabwriter.NewWriter(k.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "operation\tok\totherwise")
	for _, operation := range slices.Sorted(maps.Keys(k.tally.counts)) {
		outcomes := k.tally.counts[operation]
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\n", operation, outcomes["ok"], listed(outcomes, "ok"))
	}
	_ = table.Flush()
	k.print("faults: %s", listed(k.tally.faults, ""))
}

// listed names counts, the largest first.
func listed(counts map[string]int, without string) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if name != without {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	return strings.Join(parts, ", ")
}
