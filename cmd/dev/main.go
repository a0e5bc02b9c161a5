// Command dev runs what takes more than a line of the Makefile: real Vault servers, the end-to-end tests, the demo. It
// works in the top directory of the repository, and needs the standard library alone, so that it builds in a moment.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `usage: dev COMMAND

  vault LINE             build the Vault server pinned in test/vault/LINE, once, and print its path
  e2e LINE [FLAGS]       run the end-to-end tests; FLAGS are those of go test
  demo                   run the core workflow in a real Vault against the simulator
  demo-svg               draw a run of demo as docs/images/demo.svg
  up                     leave a Vault running with the plugin set up
  bench                  run the benchmark (QUICK, PARTS, PROFILE)
  soak [FLAGS]           run the soak; FLAGS are those of test/soak
  lint-docs              check the words, links and length of the pages
  lint-links             ask for the pages elsewhere that the pages link to
  test-docs [PAGE...]    run the blocks of README.md and docs/ that are marked as runnable, against the simulator
  cover PERCENT          measure the unit tests' coverage, and fail below PERCENT
  toolchain [raise]      fail unless go.mod names the newest patch release of Go; raise: name it in every module
  vuln                   look for known vulnerabilities in what is called (GOVULNDB, VULN_REQUIRED)
  release KIND           make a release in bin/dist: KIND is snapshot, or tagged for the tag that is checked out
  release-check          build the commit twice and compare (COLD)
  release-test           install what is in bin/dist for this platform in a real Vault, by SHA256SUMS, and use it
  download PRODUCT LINE  download the newest official binary (vault 1.19, openbao 2, terraform 1), and print its path
  version [ldflags]      print version, commit and date of what is built

VAULT_BIN or BAO_BIN names the server to use instead of a built one.
`

// errUsage is answered with the usage.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case interrupted:
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	command, args := args[0], args[1:]
	switch command {
	case "vault":
		return printVault(ctx, args)
	case "e2e":
		return endToEnd(ctx, args)
	case "demo":
		return demo(ctx, terminal())
	case "demo-svg":
		return demoSVG(ctx)
	case "up":
		return up(ctx)
	case "bench":
		return bench(ctx)
	case "soak":
		return soak(ctx, args)
	case "lint-docs":
		return lintDocs(".")
	case "lint-links":
		return lintLinks(ctx, ".")
	case "test-docs":
		return testDocs(ctx, args)
	case "cover":
		return cover(ctx, args)
	case "toolchain":
		return toolchain(ctx, args)
	case "vuln":
		return vuln(ctx)
	case "release":
		return release(ctx, args)
	case "release-check":
		return releaseCheck(ctx)
	case "release-test":
		return releaseTest(ctx)
	case "download":
		return printDownload(ctx, args)
	case "version":
		return printVersion(ctx, args)
	}
	return errUsage
}

// The names under bin/.
const (
	pluginName    = "vault-plugin-secrets-workfront"
	simulatorName = "workfront-simulator"
)

// builtBinary returns the absolute path of something that `make build` has built.
func builtBinary(name string) (string, error) {
	path, err := filepath.Abs(filepath.Join("bin", name))
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("bin/%s is missing: run make build", name)
	}
	return path, nil
}

// builtPlugin returns the path and the checksum of the plugin that `make build` has built.
func builtPlugin() (path, sum string, err error) {
	if path, err = builtBinary(pluginName); err != nil {
		return "", "", err
	}
	sum, err = sha256Of(path)
	return path, sum, err
}
