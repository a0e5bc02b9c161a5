package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// bench measures the plugin in a real Vault, side by side with lean engines (docs/performance.md). It
// fails if a request failed, not if a goal is missed. Linux only.
//
// It writes its figures to bin/bench.json, too.
//
//	QUICK=1              minutes less, figures worth less
//	PARTS=shared,fresh   these parts only; a wrong name shows all names
//	PROFILE=1            measures nothing; processor profiles of the plugin, into bin/
func bench(ctx context.Context) error {
	which, err := testServer(ctx, newestLine)
	if err != nil {
		return err
	}
	plugin, err := builtBinary(pluginName)
	if err != nil {
		return err
	}
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	static := []string{"CGO_ENABLED=0"}
	if err := goBuild(ctx, static, "-ldflags", "-s -w", "-o", s.dir+"/", "./test/bench", "./test/bench/lean"); err != nil {
		return err
	}
	var flags []string
	if os.Getenv("QUICK") != "" {
		flags = append(flags, "-quick")
	}
	if parts := os.Getenv("PARTS"); parts != "" {
		flags = append(flags, "-parts", parts)
	}
	// With symbols, which the released plugin has not.
	profiled := s.path("profiled")
	if err := goBuild(ctx, static, "-tags", "profile", "-o", profiled, "."); err != nil {
		return err
	}
	if err := os.Mkdir(s.path("sockets"), 0o700); err != nil {
		return err
	}
	s.env = append(s.env, "WORKFRONT_PROFILE_DIR="+s.path("sockets"))
	profile := os.Getenv("PROFILE") != ""
	if profile {
		plugin = profiled
		flags = append(flags, "-profile", "bin")
	}
	if _, err := s.startSimulator(ctx); err != nil {
		return err
	}
	if err := os.Mkdir(s.path("run"), 0o700); err != nil {
		return err
	}
	flags = append([]string{
		"-vault",
		which.path,
		"-plugin",
		plugin,
		"-profiled",
		profiled,
		"-lean",
		s.path("lean"),
		"-json",
		filepath.Join("bin", "bench.json"),
		"-simulator",
		s.simulatorDir(),
		"-dir",
		s.path("run"),
	}, flags...)
	if err := passThrough(ctx, s.env, s.path("bench"), flags...); err != nil || !profile {
		return err
	}
	for _, read := range []string{"shared", "fresh"} {
		file := filepath.Join("bin", "profile-"+read+".pprof")
		fmt.Printf("\n== go tool pprof -top -cum %s\n", file)
		if err := passThrough(ctx, os.Environ(), "go", "tool", "pprof", "-top", "-cum", "-nodecount=50", file); err != nil {
			return err
		}
	}
	return nil
}

// soak puts the plugin under mixed load with faults at random, and then finds out whether anything has grown. The
// plugin is built with profiles, into a place of its own.
func soak(ctx context.Context, args []string) error {
	which, err := testServer(ctx, newestLine)
	if err != nil {
		return err
	}
	b, err := describe(ctx, ".")
	if err != nil {
		return err
	}
	dir := filepath.Join("bin", "profile")
	plugin, program := filepath.Join(dir, pluginName), filepath.Join(dir, "soak")
	err = goBuild(ctx, []string{"CGO_ENABLED=0"}, "-tags", "profile", "-ldflags", "-s -w "+b.ldflags(), "-o", plugin, ".")
	if err != nil {
		return err
	}
	if err := goBuild(ctx, nil, "-o", program, "./test/soak"); err != nil {
		return err
	}
	return passThrough(
		ctx,
		cleanEnvironment(),
		program,
		slices.Concat([]string{"-vault", which.path, "-plugin", plugin}, args)...)
}

// passThrough runs a program whose output is ours. An interrupt reaches it as one, so that it can clean up.
func passThrough(ctx context.Context, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	return nil
}
