package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// coverProfile is left for `go tool cover -html`.
const coverProfile = "bin/cover.out"

// cover measures the statement coverage of the root package and of internal/ by the unit tests. It fails when the
// root's or internal's is below the given percentage.
func cover(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	least, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return errUsage
	}
	if err := os.MkdirAll(filepath.Dir(coverProfile), 0o700); err != nil {
		return err
	}
	test := exec.CommandContext(ctx, "go", "test", "-vet=off", "-covermode=atomic", "-coverpkg=./,./internal/...",
		"-coverprofile="+coverProfile, "./...")
	test.Stderr = os.Stderr
	out, err := test.Output()
	// Each test binary's share of everything says nothing.
	fmt.Print(regexp.MustCompile(`(?m)\tcoverage: .*$`).ReplaceAllString(string(out), ""))
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	profile, err := os.Open(coverProfile)
	if err != nil {
		return err
	}
	defer func() { _ = profile.Close() }()
	c, err := readCoverage(profile)
	if err != nil {
		return err
	}
	return c.report(os.Stdout, least)
}

// share is how many statements there are, and how many of them ran.
type share struct{ covered, all int }

func (s share) percent() float64 {
	if s.all == 0 {
		return 0
	}
	return 100 * float64(s.covered) / float64(s.all)
}

// coverage is by package.
type coverage map[string]share

// readCoverage reads a profile: lines `FILE:RANGE STATEMENTS COUNT` after the first. Each test binary lists every
// block: it is covered if one of them ran it.
func readCoverage(profile io.Reader) (coverage, error) {
	type block struct {
		statements int
		ran        bool
	}
	blocks := map[string]block{}
	err := scanLines(profile, func(line []byte) error {
		fields := strings.Fields(string(line))
		if len(fields) != 3 { // the first line: the mode
			return nil
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return fmt.Errorf("coverage profile: %w", err)
		}
		blocks[fields[0]] = block{statements, blocks[fields[0]].ran || fields[2] != "0"}
		return nil
	})
	c := coverage{}
	for place, b := range blocks {
		s := c[dirOf(place)]
		s.all += b.statements
		if b.ran {
			s.covered += b.statements
		}
		c[dirOf(place)] = s
	}
	return c, err
}

func dirOf(place string) string { return place[:strings.LastIndexByte(place, '/')] }

func (c coverage) report(out io.Writer, least float64) error {
	var root, internal share
	for _, name := range slices.Sorted(maps.Keys(c)) {
		group := &root
		if strings.Contains(name, "/internal/") {
			group = &internal
		}
		group.all += c[name].all
		group.covered += c[name].covered
		c.line(out, name, c[name])
	}
	c.line(out, "root", root)
	c.line(out, "internal/ in total", internal)
	c.line(out, "total", share{root.covered + internal.covered, root.all + internal.all})
	if root.percent() < least || internal.percent() < least {
		return fmt.Errorf("coverage of root or internal/ is below %g %%", least)
	}
	return nil
}

func (coverage) line(out io.Writer, name string, s share) {
	_, _ = fmt.Fprintf(out, "%6.1f %%  %5d statements  %s\n", s.percent(), s.all, name)
}
