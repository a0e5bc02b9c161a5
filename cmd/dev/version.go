package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// build describes what is built. Its version is always a semantic one: the plugin catalog takes no other.
//
//	v1.2.3                          HEAD is tagged
//	v0.1.0-dev+0123456789ab         any other commit
//	v0.1.0-dev+0123456789ab.dirty   with changes that are not committed (a tag: v1.2.3+dirty)
//	v0.1.0-dev                      no git: unpacked from an archive
type build struct{ version, commit, date string }

func printVersion(ctx context.Context, args []string) error {
	b, err := describe(ctx, ".")
	if err != nil {
		return err
	}
	switch {
	case len(args) == 0:
		fmt.Printf("%s\n%s\n%s\n", b.version, b.commit, b.date)
	case slices.Equal(args, []string{"ldflags"}):
		fmt.Println(b.ldflags())
	default:
		return errUsage
	}
	return nil
}

func (b build) ldflags() string {
	return fmt.Sprintf("-X main.version=%s -X main.commit=%s -X main.buildDate=%s", b.version, b.commit, b.date)
}

var releaseTag = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`)

// describe asks git about a directory. The date is the commit's, not today's: the same commit gives the same binary.
func describe(ctx context.Context, dir string) (build, error) {
	b := build{version: "v0.1.0-dev", commit: "unknown", date: "unknown"}
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TZ=UTC0")
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	// An empty --show-cdup: this directory is the top of the work tree, not a folder in somebody else's.
	if up, err := git("rev-parse", "--show-cdup"); err == nil && up == "" {
		if commit, err := git("rev-parse", "--verify", "--quiet", "HEAD"); err == nil {
			b.commit = commit
			if err := b.fromGit(git); err != nil {
				return b, err
			}
		}
	}
	// https://reproducible-builds.org/specs/source-date-epoch/
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return b, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		b.date = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
	}
	return b, nil
}

func (b *build) fromGit(git func(args ...string) (string, error)) error {
	tags, err := git("tag", "--points-at", "HEAD", "--sort=-v:refname")
	if err != nil {
		return fmt.Errorf("git tag: %w", err)
	}
	var metadata []string
	if i := slices.IndexFunc(strings.Fields(tags), releaseTag.MatchString); i >= 0 {
		b.version = strings.Fields(tags)[i]
	} else {
		metadata = append(metadata, b.commit[:12])
	}
	status, err := git("status", "--porcelain")
	if err != nil {
		return fmt.Errorf("git status: %w", err)
	}
	if status != "" {
		metadata = append(metadata, "dirty")
	}
	if len(metadata) > 0 {
		b.version += "+" + strings.Join(metadata, ".")
	}
	if b.date, err = git("log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"); err != nil {
		return fmt.Errorf("git log: %w", err)
	}
	return nil
}
