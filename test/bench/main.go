// Command bench measures the plugin in a real Vault, side by side with lean secrets engines: how close it is to
// what Vault and the processor make possible. docs/performance.md says how to read what it prints.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	report
	figures  figures
	dir      string // for the files of this run
	plugins  string
	vault    string // binary
	plugin   string // binary
	profiled string // binary, built with profiles
	profile  string // directory for profiles; "" takes none
	sim      *simulator

	privatePEM, publicPEM []byte
	keyFile, simDir       string
	size                  size
}

// size is how long a run takes and how much its figures are worth.
type size struct {
	rounds      int
	round       time.Duration
	few         int // rounds of what takes longer
	tokens      int // fresh ones in one turn
	leases      int // revoked at a time
	revocations int // rounds of these
	batches     int // of memoryBatch reads and revocations
	levels      []int
	idle        time.Duration // longer than the minute between two runs of the periodic job
}

var (
	full = size{
		rounds: 7, round: time.Second, few: 3, tokens: 300, leases: 10_000, revocations: 1, batches: 10,
		levels: []int{10, 1_000, 100_000}, idle: 65 * time.Second,
	}
	quick = size{
		rounds: 3, round: time.Second / 2, few: 2, tokens: 100, leases: 500, revocations: 1, batches: 4,
		levels: []int{10, 1_000, 5_000}, idle: 65 * time.Second,
	}
)

type part struct {
	name string
	run  func(*bench) error
}

var parts = []part{
	{"shared", (*bench).sharedReads},
	{"fresh", (*bench).freshReads},
	{"latency", (*bench).freshLatency},
	{"connections", (*bench).connections},
	{"queue", (*bench).queue},
	{"memory", (*bench).flatMemory},
	{"storage", (*bench).storageCalls},
	{"revoke", (*bench).revocation},
	{"start", (*bench).start},
	{"scale", (*bench).scale},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		child()
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	b := &bench{report: report{out: os.Stdout}, size: full}
	flag.StringVar(&b.vault, "vault", "", "`path` of Vault")
	flag.StringVar(&b.plugin, "plugin", "", "`path` of the plugin")
	flag.StringVar(&b.profiled, "profiled", "", "`path` of the plugin built with -tags profile")
	leanBinary := flag.String("lean", "", "`path` of the lean secrets engine (test/bench/lean)")
	jsonFile := flag.String("json", "", "`file` for the figures as JSON; empty writes none")
	simulatorDir := flag.String("simulator", "", "`directory` of a running simulator")
	flag.StringVar(&b.dir, "dir", "", "`directory` for the files of this run; no symbolic link")
	flag.StringVar(&b.profile, "profile", "", "`directory` for profiles of a plugin built with -tags profile; empty takes none")
	isQuick := flag.Bool("quick", false, "take minutes less; the figures are worth less")
	chosen := flag.String("parts", "", "comma-separated parts to run, all by default: "+partNames())
	flag.Parse()
	if runtime.GOOS != "linux" {
		return errors.New("processor time and memory are read from /proc, which only Linux has")
	}
	if *isQuick {
		b.size = quick
	}
	todo, err := choose(*chosen)
	if err != nil {
		return err
	}
	if err := b.prepare(*leanBinary, *simulatorDir); err != nil {
		return err
	}
	if err := b.header(*isQuick); err != nil {
		return err
	}
	if b.profile != "" {
		return b.profiles()
	}
	for _, p := range todo {
		begun := time.Now()
		if err := p.run(b); err != nil {
			return fmt.Errorf("part %s: %w", p.name, err)
		}
		if err := b.figures.write(*jsonFile, b.goals); err != nil {
			return err
		}
		took := time.Since(begun).Round(time.Second)
		b.line("(part %s took %s; load average after it %s)", p.name, took, loadAverage())
	}
	b.summary()
	return nil
}

func partNames() string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return strings.Join(names, ",")
}

func choose(names string) ([]part, error) {
	if names == "" {
		return parts, nil
	}
	var chosen []part
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no part %q; the parts are %s", name, partNames())
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}

// prepare fills the plugin directory and introduces a key to the simulator.
func (b *bench) prepare(leanBinary, simulatorDir string) error {
	b.plugins = filepath.Join(b.dir, "plugins")
	if err := os.Mkdir(b.plugins, 0o700); err != nil {
		return err
	}
	for name, from := range map[string]string{
		pluginProgram:     b.plugin,
		profiledProgram:   b.profiled,
		leanPut.program:   leanBinary,
		leanNoop.program:  leanBinary,
		leanCalls.program: leanBinary,
	} {
		if err := b.copyPlugin(name, from); err != nil {
			return err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	if b.privatePEM, b.publicPEM, err = encodeKeys(key); err != nil {
		return err
	}
	b.keyFile = filepath.Join(b.dir, "key.pem")
	if err := os.WriteFile(b.keyFile, b.privatePEM, 0o600); err != nil {
		return err
	}
	b.simDir = simulatorDir
	if b.sim, err = findSimulator(simulatorDir); err != nil {
		return fmt.Errorf("find the simulator: %w", err)
	}
	if err := b.sim.exchangesTake(0, 0); err != nil {
		return err
	}
	return b.sim.addPublicKey(b.publicPEM)
}

// header prints what one has to know to read the figures.
func (b *bench) header(isQuick bool) error {
	version, err := exec.Command(b.vault, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", b.vault, err)
	}
	b.line("The plugin in a real Vault, side by side with lean engines.\n")
	b.line("shared   the plugin; all readers get the same session, each with a lease of its own")
	b.line("fresh    the plugin; each read exchanges a JWT and starts a session of its own")
	b.line("lean     engines as small as a plugin can be, which return a constant under a lease: no forward flags, no look-ups.")
	b.line("         no-op stores nothing, put makes one storage put for each lease, 3 calls one get and two puts\n")
	b.figures.Quick = isQuick
	b.figures.Machine = machine()
	for _, line := range b.figures.Machine {
		b.line("%s", line)
	}
	b.line("vault    %s", strings.Trim(strings.Fields(string(version))[1], "v,")+", no audit log; storage in memory and a unix socket, or one Raft node and TCP")
	b.line("rounds   %d, of %s each where reads are counted; %d where leases are counted. In a round all take turns, another one first each",
		b.size.rounds, b.size.round, b.size.few)
	b.line("         time. Figures are medians of the rounds; a ratio is the median of the ratios of each round")
	if isQuick {
		b.line("quick    yes: short rounds, few of them, fewer leases. Do not quote these figures.")
	}
	return nil
}
