package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// endToEnd runs the end-to-end tests of ./test in a real server and says how many passed. A run without a test fails,
// and so does one that skips a test: both would look like success.
func endToEnd(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	s, err := testServer(ctx, args[0])
	if err != nil {
		return err
	}
	plugin := os.Getenv("PLUGIN_BIN")
	if plugin == "" {
		if plugin, err = builtBinary(pluginName); err != nil {
			return err
		}
	}
	fmt.Println("== end-to-end tests in", s)
	// -count=1: the result depends on binaries that the cache of go test does not know of.
	flags := []string{"test", "-json", "-tags", "e2e", "-vet=off", "-count=1", "-timeout", "45m", "./test"}
	test := exec.CommandContext(ctx, "go", append(flags, args[1:]...)...)
	// The tests clean up at an interrupt's end, not at a kill.
	test.Cancel = func() error { return test.Process.Signal(os.Interrupt) }
	test.Env = append(os.Environ(), envVault+"="+s.path, "PLUGIN_BIN="+plugin)
	test.Stderr = os.Stderr
	results, runErr := runTests(test, os.Stdout)
	return results.verdict(s.String(), runErr)
}

// runTests runs `go test -json` and prints what a reader wants to see of it.
func runTests(test *exec.Cmd, out io.Writer) (*results, error) {
	r := &results{out: out, printed: map[string]*strings.Builder{}}
	events, err := test.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := test.Start(); err != nil {
		return r, err
	}
	readErr := scanLines(events, r.read)
	if err := test.Wait(); err != nil {
		return r, err
	}
	return r, readErr
}
