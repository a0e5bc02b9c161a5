package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const vaultModules = "test/vault"

func printVault(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	path, err := buildVault(ctx, args[0])
	if err == nil {
		fmt.Println(path)
	}
	return err
}

var requiredVault = regexp.MustCompile(`(?m)^require github\.com/hashicorp/vault v(\S+)`)

// buildVault builds the Vault server that test/vault/LINE pins into bin/, and returns its path. It is built again only
// when the go.mod or go.sum there changes: by checksum, because file times change with every clone and checkout.
func buildVault(ctx context.Context, line string) (string, error) {
	module := filepath.Join(vaultModules, line)
	mod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("no Vault is pinned for line %q: %w", line, err)
	}
	sum, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return "", err
	}
	match := requiredVault.FindSubmatch(mod)
	if match == nil {
		return "", fmt.Errorf("%s/go.mod requires no github.com/hashicorp/vault", module)
	}
	version := string(match[1])
	binary, err := filepath.Abs(filepath.Join("bin", "vault-"+version))
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(append(mod, sum...))
	pinned := hex.EncodeToString(digest[:])
	if was, err := os.ReadFile(binary + ".pinned"); err == nil && strings.TrimSpace(string(was)) == pinned {
		if _, err := exec.LookPath(binary); err == nil {
			return binary, nil
		}
	}
	if err := compile(ctx, module, version, binary+".new"); err != nil {
		return "", err
	}
	// Into place only when complete.
	if err := os.Rename(binary+".new", binary); err != nil {
		return "", err
	}
	return binary, os.WriteFile(binary+".pinned", []byte(pinned+"\n"), 0o600)
}

// compile builds Vault with a line now and then that shows it is alive. The tag `minimal` leaves out most built-in
// plugins, which nothing here uses.
func compile(ctx context.Context, module, version, output string) error {
	begun := time.Now()
	fmt.Fprintf(os.Stderr, "Building Vault %s from the Go module proxy, once: 3 to 8 minutes on two cores\n", version)
	build := exec.CommandContext(
		ctx,
		"go",
		"build",
		"-v",
		"-mod=readonly",
		"-buildvcs=false",
		"-tags",
		"minimal",
		"-trimpath",
		"-ldflags",
		"-s -w",
		"-o",
		output,
		"github.com/hashicorp/vault",
	)
	build.Dir = module
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	seen := &progress{}
	build.Stderr = seen
	if err := build.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- build.Wait() }()
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return errors.Join(fmt.Errorf("build Vault %s: %w", version, err), ctx.Err(), errors.New(seen.messages()))
			}
			fmt.Fprintf(os.Stderr, "Built Vault %s in %s\n", version, time.Since(begun).Round(time.Second))
			return nil
		case <-tick.C:
			fmt.Fprintf(os.Stderr, "  building Vault %s for %s: %s\n", version, time.Since(begun).Round(time.Second), seen)
		}
	}
}

// progress reads what `go build -v` prints: a line for each module that it downloads, and one for each package that it
// compiles. Everything else is a message.
type progress struct {
	mu                   sync.Mutex
	rest                 []byte
	downloaded, compiled int
	other                []string
}

var packagePath = regexp.MustCompile(`^[\w.~/@+-]+$`)

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		p.rest = rest
		switch text := string(line); {
		case strings.HasPrefix(text, "go: downloading "):
			p.downloaded++
		case packagePath.MatchString(text):
			p.compiled++
		default:
			p.other = append(p.other, text)
		}
	}
}

func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d modules downloaded, %d packages compiled", p.downloaded, p.compiled)
}

func (p *progress) messages() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(strings.Join(p.other, "\n") + "\n" + string(p.rest))
}

// goBuild builds packages of this module as make does.
func goBuild(ctx context.Context, env []string, args ...string) error {
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-trimpath"}, args...)...)
	build.Env = append(os.Environ(), env...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// scanLines calls use for each line, whatever its length.
func scanLines(r io.Reader, use func(line []byte) error) error {
	buffered := bufio.NewReader(r)
	for {
		line, err := buffered.ReadBytes('\n')
		if len(line) > 0 {
			if err := use(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
