// Command soak puts the plugin in a real Vault server under a mixed load, with faults at random, for as long as it is told.
// In rounds: load, then rest. At rest every session that was started must be accounted for, and the plugin must hold no
// more goroutines, files, connections, memory and entries in storage than it did at rest before. Of the project it knows
// the stand-in for Workfront alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `soak: a mixed load on the plugin in a real Vault, with faults at random, that ends with what has grown.

  soak -vault FILE -plugin FILE [flags]

The plugin has to be built with -tags profile. The seed decides what each worker does and which faults come; when they
meet is up to the machine.

Flags:
`

// options is what the command line says.
type options struct {
	vault, plugin string
	time, round   time.Duration
	steady        time.Duration
	workers       int
	seed          uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 if nothing has grown and nothing unexpected happened, 1 if not, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "soak: %v; see -h\n", err)
		return 2
	}
	k, err := prepare(o, stdout)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "soak: %v\n", err)
		return 1
	}
	err = k.soak(ctx)
	k.stop()
	if err != nil {
		k.tally.fail("the soak itself: %v", err)
	}
	if !k.report() {
		_, _ = fmt.Fprintf(stderr, "soak: failed with -seed %d; the logs are in %s\n", o.seed, k.dir)
		return 1
	}
	if err := os.RemoveAll(k.dir); err != nil {
		_, _ = fmt.Fprintf(stderr, "soak: %v\n", err)
		return 1
	}
	return 0
}

// The bounds of a round's load: longer than a session lives, short enough for many measurements.
const (
	shortestRound = sessionTTL + 5*time.Second
	longestRound  = 5 * time.Minute
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.vault, "vault", "", "Vault `binary` (required)")
	flags.StringVar(&o.plugin, "plugin", "", "plugin `binary`, built with -tags profile (required)")
	flags.DurationVar(&o.time, "time", 10*time.Minute, "how long; three rounds are made in any case")
	flags.DurationVar(&o.round, "round", 0, "load of one round; a tenth of the time by default")
	flags.DurationVar(&o.steady, "steady", 0, "steady load before the third round, under which the heap must not grow; a fifth of the time by default")
	flags.IntVar(&o.workers, "workers", 10, "how many do something at a time")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "seed of all choices")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.round == 0 {
		o.round = min(max(o.time/10, shortestRound), longestRound)
	}
	if o.steady == 0 {
		o.steady = max(o.time/5, shortestSteady)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.vault == "" || o.plugin == "":
		return o, errors.New("-vault and -plugin are required")
	case o.time <= 0 || o.round <= 0 || o.steady <= 0 || o.workers <= 0:
		return o, errors.New("-time, -round, -steady and -workers must be above 0")
	}
	return o, nil
}
