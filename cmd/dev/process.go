package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stage is a temporary directory and the processes that work in it. Both end with it.
type stage struct {
	dir       string   // not a symbolic link: Vault refuses a plugin directory that is one
	env       []string // of whatever is started here
	processes []*process
}

// process runs in the background until its stage is closed.
type process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "workfront.")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // macOS: /tmp is a link
		return nil, err
	}
	return &stage{dir: dir, env: cleanEnvironment()}, nil
}

// cleanEnvironment is the environment without settings for other servers, and without a client secret. Requests to
// loopback go through no proxy.
func cleanEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "VAULT_") || strings.HasPrefix(entry, "BAO_") ||
			strings.HasPrefix(entry, envClientSecret+"=")
	})
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		env = append(env, name+"="+strings.TrimSuffix("127.0.0.1,localhost,"+os.Getenv(name), ","))
	}
	return env
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// start runs a process in the background. What it prints goes to NAME.log.
func (s *stage) start(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, log: s.path(name + ".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = slices.Concat(s.env, env)
	detach(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	s.processes = append(s.processes, p)
	return p, nil
}

var errNotReady = errors.New("not ready")

// waitReady polls until ready returns nil. It fails when the process exits, and after a minute.
func (p *process) waitReady(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("no answer within a minute"))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s exited: %w\n%s", p.name, errNotReady, p.lastLines(30))
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w (%w)\n%s", p.name, errNotReady, context.Cause(ctx), err, p.lastLines(30))
		case <-tick.C:
		}
	}
}

func (p *process) lastLines(n int) string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// stop ends the process by SIGTERM, and after ten seconds by force.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	select {
	case <-p.exited:
	case <-patience.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// close stops the processes and removes the directory. The last one started goes first: Vault still reaches the
// simulator while it stops.
func (s *stage) close() {
	for _, p := range slices.Backward(s.processes) {
		p.stop()
	}
	_ = os.RemoveAll(s.dir)
}
