package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The line of go.mod that names the Go to build with: actions/setup-go installs that one, and so releases are built
// with it. Dependabot does not raise it.
var toolchainLine = regexp.MustCompile(`(?m)^toolchain go((1\.\d+)\.\d+)$`)

// toolchain fails unless every module names the newest patch release of its Go, and Go still maintains that line. With
// `raise` it names that release in every module.
func toolchain(ctx context.Context, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] != "raise" {
		return errUsage
	}
	named, err := namedToolchain(".")
	if err != nil {
		return err
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-versions", "go")
	list.Stderr = os.Stderr
	versions, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list -m -versions go: %w", err)
	}
	newest, err := newestPatch(strings.Fields(string(versions)), named)
	if err != nil {
		return err
	}
	files, err := moduleFiles(".")
	if err != nil {
		return err
	}
	if len(args) == 1 {
		for _, file := range files {
			if err := passThrough(ctx, os.Environ(), "go", "mod", "edit", "-toolchain=go"+newest, file); err != nil {
				return err
			}
		}
		named = newest
	}
	if named != newest {
		return fmt.Errorf("go.mod names go%s, and go%s is out: run bin/dev toolchain raise", named, newest)
	}
	fmt.Printf("go%s, the newest of its line, in %d modules\n", named, len(files))
	return nil
}

// namedToolchain returns the version in the toolchain line of a module, such as 1.26.3.
func namedToolchain(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	match := toolchainLine.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s has no line toolchain go1.MINOR.PATCH", filepath.Join(dir, "go.mod"))
	}
	return string(match[1]), nil
}

// newestPatch returns the newest release of a version's line. It is an error if Go no longer maintains that line, which
// it does until there are two newer ones: https://go.dev/doc/devel/release#policy.
func newestPatch(versions []string, version string) (string, error) {
	line := version[:strings.LastIndex(version, ".")]
	latest := newest(versions, line)
	if latest == "" {
		return "", fmt.Errorf("no release of Go %s is in Go's list of versions", line)
	}
	minor, err := strconv.Atoi(strings.TrimPrefix(line, "1."))
	if err != nil {
		return "", err
	}
	if next := fmt.Sprintf("1.%d", minor+2); newest(versions, next) != "" {
		return "", fmt.Errorf("release line Go %s gets no fixes any more, because Go %s is out: move every go.mod to a newer line", line, next)
	}
	return latest, nil
}

// moduleFiles lists the go.mod files that name a toolchain: all of them but those in test/vault, where a Vault is pinned
// with what it was built with, and nothing that is released or that releases is built.
func moduleFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "node_modules", "test/vault"}, filepath.ToSlash(inside)) {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" {
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("there is no go.mod")
	}
	return files, err
}
