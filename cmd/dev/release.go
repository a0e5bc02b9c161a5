package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// The files of a release, below the top directory of what is released. What uploadDir holds is published: the files
// that SHA256SUMS lists, and that list.
const (
	distDir     = "bin/dist"
	checksums   = distDir + "/SHA256SUMS"
	uploadDir   = distDir + "/release"
	notesText   = distDir + "/release-notes.md"
	imageLayout = distDir + "/oci"
	imageDigest = distDir + "/image-digest"
	noticesFile = "bin/THIRD_PARTY_NOTICES"
	releasedFor = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64," +
		"freebsd/amd64,freebsd/arm64"
)

// releaser makes a release of a work tree, with the tools that make has built.
type releaser struct {
	dir   string   // top of the work tree
	tools string   // absolute: the tools' directory
	env   []string // beside our own
}

// release makes archives, checksums, SBOMs and the image in bin/dist: a snapshot of whatever is there, or the release of
// a tag. Neither needs credentials: the release workflow signs and publishes what was made, after it was tested.
func release(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	tools, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	r := releaser{dir: ".", tools: tools}
	switch args[0] {
	case "snapshot":
		return r.snapshot(ctx)
	case "tagged":
		return r.tagged(ctx)
	}
	return errUsage
}

// snapshot makes a release that needs no credentials. With SINGLE_TARGET=1 it is one for this platform alone, in a
// tenth of the time: GoReleaser has no flag for that, so its configuration is cut down.
func (r releaser) snapshot(ctx context.Context) error {
	flags := []string{"--snapshot"}
	if os.Getenv("SINGLE_TARGET") != "" {
		config, err := os.ReadFile(filepath.Join(r.dir, ".goreleaser.yaml"))
		if err != nil {
			return err
		}
		const file = "bin/goreleaser-single.yaml"
		if err := os.WriteFile(filepath.Join(r.dir, file), singleTarget(config), 0o600); err != nil {
			return err
		}
		flags = append(flags, "--config="+file)
	}
	return r.run(ctx, flags...)
}

var (
	allSystems       = regexp.MustCompile(`goos: \[.*,.*\]`)
	allArchitectures = regexp.MustCompile(`goarch: \[.*\]`)
)

func singleTarget(config []byte) []byte {
	config = allSystems.ReplaceAll(config, []byte("goos: ["+runtime.GOOS+"]"))
	return allArchitectures.ReplaceAll(config, []byte("goarch: ["+runtime.GOARCH+"]"))
}

// tagged makes the release of the tag that is checked out, with the Go that go.mod names and no other. Its text is its
// section of CHANGELOG.md.
func (r releaser) tagged(ctx context.Context) error {
	b, err := describe(ctx, r.dir)
	if err != nil {
		return err
	}
	changelog, err := os.ReadFile(filepath.Join(r.dir, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	builtWith, err := r.goVersion(ctx)
	if err != nil {
		return err
	}
	named, err := namedToolchain(r.dir)
	if err != nil {
		return err
	}
	if builtWith != "go"+named {
		return fmt.Errorf("a release is built with go%s, which go.mod names; this is %s", named, builtWith)
	}
	notes, err := releaseNotes(string(changelog), b.version, builtWith)
	if err != nil {
		return err
	}
	if err := r.run(ctx, "--skip=publish"); err != nil {
		return err
	}
	if err := r.collect(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, notesText), []byte(notes), 0o600)
}

// collect copies the files that SHA256SUMS lists to uploadDir, under the names that it gives them, and the list itself.
func (r releaser) collect() error {
	content, err := os.ReadFile(filepath.Join(r.dir, checksums))
	if err != nil {
		return err
	}
	artifacts, err := r.artifacts()
	if err != nil {
		return err
	}
	to := filepath.Join(r.dir, uploadDir)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for name, sum := range parseSums(string(content)) {
		i := slices.IndexFunc(artifacts, func(a artifact) bool { return a.Name == name })
		if i < 0 {
			return fmt.Errorf("artifacts.json does not list %s, which SHA256SUMS does", name)
		}
		if err := copyFile(filepath.Join(r.dir, artifacts[i].Path), filepath.Join(to, name), 0o600); err != nil {
			return err
		}
		if got, err := sha256Of(filepath.Join(to, name)); err != nil || got != sum {
			return fmt.Errorf("%s has checksum %s, SHA256SUMS says %s (%w)", name, got, sum, err)
		}
	}
	return os.WriteFile(filepath.Join(to, filepath.Base(checksums)), content, 0o600)
}

// goVersion is that of the Go that builds in the work tree: not always the one on the PATH, because that one may switch
// to another, by GOTOOLCHAIN and go.mod.
func (r releaser) goVersion(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = r.dir
	version, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return strings.TrimSpace(string(version)), nil
}

// releaseNotes is the section of a changelog about a version (https://keepachangelog.com/en/1.1.0/), and the Go that
// built it.
func releaseNotes(changelog, version, builtWith string) (string, error) {
	var notes strings.Builder
	found := false
	for line := range strings.Lines(changelog) {
		if heading, is := strings.CutPrefix(line, "## "); is {
			if found {
				break
			}
			found = strings.HasPrefix(heading, "["+strings.TrimPrefix(version, "v")+"]")
			continue
		}
		if found {
			notes.WriteString(line)
		}
	}
	text := strings.TrimSpace(notes.String())
	if text == "" {
		return "", fmt.Errorf("CHANGELOG.md has no section [%s]", strings.TrimPrefix(version, "v"))
	}
	return text + "\n\nBuilt with " + builtWith + ".\n", nil
}

// run makes the release. The flags are GoReleaser's.
func (r releaser) run(ctx context.Context, flags ...string) error {
	b, err := describe(ctx, r.dir)
	if err != nil {
		return err
	}
	builtWith, err := r.goVersion(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s, built with %s\n", b.version, builtWith)
	if err := r.tool(ctx, "notices", "-o", noticesFile, "-targets", releasedFor); err != nil {
		return err
	}
	r.env = append(r.env, "PLUGIN_VERSION="+b.version, "PLUGIN_LDFLAGS="+b.ldflags())
	if err := r.tool(ctx, "goreleaser", append([]string{"release", "--clean"}, flags...)...); err != nil {
		return err
	}
	return r.image(ctx, b)
}

// tool runs one of the tools in the work tree, and lets it find the others.
func (r releaser) tool(ctx context.Context, name string, args ...string) error {
	cmd := r.command(ctx, name, args...)
	cmd.Stdout = os.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (r releaser) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(r.tools, name), args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+r.tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, r.env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// artifact is an entry of GoReleaser's artifacts.json.
type artifact struct {
	Name   string `json:"name"`
	Path   string `json:"path"` // from the top of the work tree
	Goos   string `json:"goos"`
	Goarch string `json:"goarch"`
	Type   string `json:"type"`
	Extra  struct {
		ID string `json:"ID"`
	} `json:"extra"`
}

// artifacts are all files that GoReleaser has made.
func (r releaser) artifacts() ([]artifact, error) {
	content, err := os.ReadFile(filepath.Join(r.dir, distDir, "artifacts.json"))
	if err != nil {
		return nil, err
	}
	var all []artifact
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("artifacts.json: %w", err)
	}
	return all, nil
}

// binaries are the bare binaries of a release, by platform.
func (r releaser) binaries(id string) (map[string]artifact, error) {
	all, err := r.artifacts()
	if err != nil {
		return nil, err
	}
	found := map[string]artifact{}
	for _, a := range all {
		if a.Type == "Binary" && a.Extra.ID == id {
			found[a.Goos+"/"+a.Goarch] = a
		}
	}
	return found, nil
}

// image assembles the image, and leaves its digest beside it.
func (r releaser) image(ctx context.Context, b build) error {
	binaries, err := r.binaries("binaries")
	if err != nil {
		return err
	}
	date := b.date
	args := []string{
		"-o", imageLayout, "-file", "/licenses/LICENSE=LICENSE", "-file", "/licenses/THIRD_PARTY_NOTICES=" + noticesFile,
		"-annotation", "org.opencontainers.image.title=" + pluginName,
		"-annotation", "org.opencontainers.image.description=HashiCorp Vault and OpenBao secrets engine for Adobe Workfront",
		"-annotation", "org.opencontainers.image.licenses=MPL-2.0",
		"-annotation", "org.opencontainers.image.version=" + b.version,
		"-annotation", "org.opencontainers.image.revision=" + b.commit,
		"-annotation", "org.opencontainers.image.created=" + date, "-created", date,
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		binary, found := binaries[platform]
		if !found && os.Getenv("SINGLE_TARGET") == "" {
			return fmt.Errorf("artifacts.json lists no binary for %s", platform)
		}
		if found {
			args = append(args, "-binary", platform+"="+binary.Path)
		}
	}
	digest, err := r.command(ctx, "image", args...).Output()
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	fmt.Printf("image %s\n", bytes.TrimSpace(digest))
	return os.WriteFile(filepath.Join(r.dir, imageDigest), digest, 0o600)
}
