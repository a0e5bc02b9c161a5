// Command notices collects the licenses of everything that is linked into the plugin, for the archives, and fails if
// one is not on the short list. It runs in the top directory of the plugin's module.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// accepted are the licenses that may be linked in, by SPDX identifier.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// leastCovered is how much of a license file the scanner has to recognize, in percent.
const leastCovered = 75

func main() {
	output := flag.String("o", "", "`file` to write; nothing is written without it")
	targets := flag.String("targets", "linux/amd64", "comma-separated GOOS/GOARCH `pairs` to look at")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *output, strings.Split(*targets, ","))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, output string, targets []string) error {
	modules := map[string]*module{}
	for _, target := range targets {
		if err := linkedIn(ctx, target, modules); err != nil {
			return err
		}
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(goroot)), "\n")
	modules["Go standard library"] = &module{
		Path:    "Go standard library",
		Version: lines[1],
		Dir:     lines[0],
		dirs:    map[string]bool{lines[0]: true},
	}

	sorted := make([]*module, 0, len(modules))
	for _, m := range modules {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	var text bytes.Buffer
	var problems []error
	text.WriteString("The plugin is linked with what follows, under the licenses given.\n")
	for _, m := range sorted {
		problems = append(problems, m.write(&text))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	fmt.Printf("%d modules, every license accepted: %s\n", len(sorted), strings.Join(accepted, ", "))
	if output == "" {
		return nil
	}
	return os.WriteFile(output, text.Bytes(), 0o644) //nolint:gosec // it is for everybody to read
}

// module is one that is linked in, with the directories of it that are.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module

	dirs map[string]bool
}

// linkedIn adds the modules that the plugin is linked with on a target.
func linkedIn(ctx context.Context, target string, modules map[string]*module) error {
	goos, goarch, found := strings.Cut(target, "/")
	if !found {
		return fmt.Errorf("target %q is no GOOS/GOARCH", target)
	}
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Dir,Standard,Module", ".")
	list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w", target, err)
	}
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *module
		}
		switch err := packages.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("go list for %s: %w", target, err)
		case p.Standard || p.Module == nil || p.Module.Main:
			continue
		}
		if p.Module.Replace != nil {
			p.Module.Dir, p.Module.Version = p.Module.Replace.Dir, p.Module.Replace.Version
		}
		m := modules[p.Module.Path]
		if m == nil {
			m = p.Module
			m.dirs = map[string]bool{}
			modules[m.Path] = m
		}
		// A license in a directory holds for what is below.
		for dir := p.Dir; strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
			m.dirs[dir] = true
		}
	}
}

var (
	licenseName = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([.-].*)?$`)
	noticeName  = regexp.MustCompile(`(?i)^(notice|patents)([.-].*)?$`)
)

// write adds the module's license and notice files. It is an error if there is no license, or one that is not accepted.
func (m *module) write(text *bytes.Buffer) error {
	var files []string
	for dir := range m.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			// Code is linked in, documentation is not: LICENSE.docs of opencontainers/go-digest.
			if e.IsDir() || filepath.Ext(name) == ".go" || filepath.Ext(name) == ".docs" {
				continue
			}
			if licenseName.MatchString(name) || noticeName.MatchString(name) {
				files = append(files, filepath.Join(dir, name))
			}
		}
	}
	slices.Sort(files)
	licensed := false
	fmt.Fprintf(text, "\n%s\n%s %s\n", strings.Repeat("=", 100), m.Path, m.Version)
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // found by go list
		if err != nil {
			return err
		}
		label := "notice"
		if licenseName.MatchString(filepath.Base(file)) {
			licenses, err := classify(content)
			if err != nil {
				return fmt.Errorf("%s %s: %s: %w", m.Path, m.Version, filepath.Base(file), err)
			}
			licensed = true
			label = strings.Join(licenses, ", ")
		}
		name, err := filepath.Rel(m.Dir, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "\n--- %s: %s\n\n%s\n", filepath.ToSlash(name), label, bytes.TrimSpace(content))
	}
	if !licensed {
		return fmt.Errorf("%s %s: no license file", m.Path, m.Version)
	}
	return nil
}

// classify returns the licenses that a file holds. It is an error if most of it is unknown, or one is not accepted.
func classify(content []byte) ([]string, error) {
	coverage := licensecheck.Scan(content)
	var ids []string
	for _, match := range coverage.Match {
		if !match.IsURL && !slices.Contains(ids, match.ID) {
			ids = append(ids, match.ID)
		}
	}
	if len(ids) == 0 || coverage.Percent < leastCovered {
		return nil, fmt.Errorf("%.0f %% of it was recognized (%v): read it, and decide", coverage.Percent, ids)
	}
	for _, id := range ids {
		if !slices.Contains(accepted, id) {
			return nil, fmt.Errorf("license %s is not accepted (%s are)", id, strings.Join(accepted, ", "))
		}
	}
	return ids, nil
}
