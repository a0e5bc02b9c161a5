package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// fuzzed is a fuzz target and what came of it.
type fuzzed struct {
	pkg, name       string
	executions, new int
	found           bool
}

// fuzz runs every fuzz target for its share of FUZZ_SECONDS (300), one after the other, and ends with a table. It
// fails if one of them found something. An input that fails is written to testdata/fuzz/TARGET beside the target,
// where every `go test` runs it from then on: commit it together with the fix.
func fuzz(ctx context.Context) error {
	seconds := 300
	if value := os.Getenv("FUZZ_SECONDS"); value != "" {
		var err error
		if seconds, err = strconv.Atoi(value); err != nil || seconds < 1 {
			return fmt.Errorf("FUZZ_SECONDS=%s is no number of seconds above 0", value)
		}
	}
	list, err := exec.CommandContext(ctx, "go", "test", "-vet=off", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		return fmt.Errorf("go test -list: %w", err)
	}
	targets := parseTargets(string(list))
	if len(targets) == 0 {
		return errors.New("there is no fuzz target")
	}
	each := max(time.Second, time.Duration(seconds/len(targets))*time.Second)
	fmt.Printf("== %d fuzz targets, %s each\n", len(targets), each)
	finds := 0
	for i := range targets {
		fmt.Println(targets[i].name)
		if err := targets[i].run(ctx, each); err != nil {
			return err
		}
		if targets[i].found {
			finds++
		}
	}
	fmt.Printf("\n%-22s %12s %12s %6s\n", "target", "executions", "new inputs", "found")
	for _, t := range targets {
		fmt.Printf("%-22s %12d %12d %6t\n", t.name, t.executions, t.new, t.found)
	}
	if finds > 0 {
		return fmt.Errorf(
			"fuzzing found something in %d of %d targets; an input that no seed covers is in testdata/fuzz beside "+
				"its target, and `go test` fails with it until that is mended",
			finds,
			len(targets),
		)
	}
	fmt.Printf("fuzzing found nothing in %d targets\n", len(targets))
	return nil
}

// parseTargets reads what `go test -list` prints: the names of a package, and then a line about it.
func parseTargets(list string) []fuzzed {
	var targets []fuzzed
	var names []string
	for line := range strings.Lines(list) {
		switch fields := strings.Fields(line); {
		case strings.HasPrefix(line, "Fuzz"):
			names = append(names, fields[0])
		case len(fields) > 1 && fields[0] == "ok":
			for _, name := range names {
				targets = append(targets, fuzzed{pkg: fields[1], name: name})
			}
			names = nil
		}
	}
	return targets
}

const fuzzProgress = "fuzz: elapsed"

var (
	fuzzExecutions = regexp.MustCompile(`execs: (\d+)`)
	fuzzNew        = regexp.MustCompile(`new interesting: (\d+)`)
)

// run fuzzes one target. It is an error only if it was cut off: go test stops at the first find.
func (f *fuzzed) run(ctx context.Context, lasting time.Duration) error {
	// Without a limit, minimizing what is merely interesting may take up all of the time.
	cmd := exec.CommandContext(
		ctx,
		"go",
		"test",
		"-vet=off",
		"-run",
		"^$",
		"-fuzz",
		"^"+f.name+"$",
		"-fuzztime",
		lasting.String(),
		"-fuzzminimizetime",
		"100x",
		f.pkg,
	)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.found = err != nil
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, fuzzProgress) {
			f.executions = number(fuzzExecutions, line, f.executions)
			f.new = number(fuzzNew, line, f.new)
		} else if f.found {
			fmt.Fprint(os.Stderr, line)
		}
	}
	return nil
}

// number is what an expression finds in a line, or else what it was before.
func number(find *regexp.Regexp, line string, before int) int {
	match := find.FindStringSubmatch(line)
	if match == nil {
		return before
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return before
	}
	return n
}
