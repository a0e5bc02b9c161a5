// Command bench measures the plugin in a real Vault, side by side with a secrets engine that does nothing: how close it is
// to what Vault and the processor make possible. docs/performance.md says how to read what it prints.
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
	dir     string // for the files of this run
	plugins string
	vault   string // binary
	plugin  string // binary
	profile string // directory for profiles; "" takes none
	sim     *simulator

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
	levels      []int
	idle        time.Duration // longer than the minute between two runs of the periodic job
}

var (
	full  = size{rounds: 11, round: time.Second, few: 5, tokens: 500, leases: 10_000, revocations: 2, levels: []int{10, 1_000, 100_000}, idle: 65 * time.Second}
	quick = size{rounds: 3, round: time.Second, few: 2, tokens: 200, leases: 1_000, revocations: 2, levels: []int{10, 1_000, 10_000}, idle: 65 * time.Second}
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
	noopBinary := flag.String("noop", "", "`path` of the no-op secrets engine (test/bench/noop)")
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
	if err := b.prepare(*noopBinary, *simulatorDir); err != nil {
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
		b.line("(part %s took %s)", p.name, time.Since(begun).Round(time.Second))
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
func (b *bench) prepare(noopBinary, simulatorDir string) error {
	b.plugins = filepath.Join(b.dir, "plugins")
	if err := os.Mkdir(b.plugins, 0o700); err != nil {
		return err
	}
	for name, from := range map[string]string{pluginProgram: b.plugin, floor.program: noopBinary, noop.program: noopBinary} {
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
	if err := b.sim.exchangesTake(0); err != nil {
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
	b.line("The plugin in a real Vault, side by side with an engine that does nothing.\n")
	b.line("shared   the plugin; all readers get the same session, each with a lease of its own")
	b.line("fresh    the plugin; each read exchanges a JWT and starts a session of its own")
	b.line("no-op    an engine that returns a constant under a lease: what Vault itself takes")
	b.line("floor    the no-op with one storage put for each lease, and one delete: what an exact count of leases takes\n")
	for _, line := range machine() {
		b.line("%s", line)
	}
	b.line("vault    %s", strings.Trim(strings.Fields(string(version))[1], "v,")+", storage in memory, no audit log, clients on a unix socket")
	b.line("rounds   %d, of %s each where reads are counted; %d where leases are counted. In a round all take turns, another one first each",
		b.size.rounds, b.size.round, b.size.few)
	b.line("         time. Figures are medians of the rounds; a ratio is the median of the ratios of each round")
	if isQuick {
		b.line("quick    yes: short rounds, few of them, fewer leases. Do not quote these figures.")
	}
	return nil
}
