package vaultserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one life of a server.
type process struct {
	command  *exec.Cmd
	exited   chan struct{} // closed when the process has ended
	watchdog io.Closer
	endOnce  sync.Once
}

// run starts the process. It works in its directory, which relative paths in its settings stand for.
func (s *Server) run() error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	p := &process{exited: make(chan struct{})}
	p.command = exec.Command(s.options.Binary, "server", "-config", s.configFile())
	p.command.Dir = s.options.Dir
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		return fmt.Errorf("start vault: %w", err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.exited)
	}()
	s.process.Store(p)
	if err := p.watch(); err != nil {
		p.end(syscall.SIGKILL)
		return fmt.Errorf("watch vault: %w", err)
	}
	return nil
}

func (s *Server) configFile() string { return filepath.Join(s.options.Dir, "config.hcl") }

// Restart starts a server again that was stopped or killed. It is sealed then; what Raft has stored is there.
func (s *Server) Restart() error { return s.run() }

// watch starts a shell that stops Vault when this process ends in whatever way: its end of the pipe is closed then.
// Vault stops its plugins. A Vault that is frozen has to be thawed for it.
func (p *process) watch() error {
	shell := exec.Command("sh", "-c", `cat; kill "$0" 2>/dev/null; kill -CONT "$0" 2>/dev/null`, strconv.Itoa(p.command.Process.Pid))
	pipe, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	p.watchdog = pipe
	if err := shell.Start(); err != nil {
		return err
	}
	go func() { _ = shell.Wait() }()
	return nil
}

// Stop ends the process, and with it the plugins.
func (s *Server) Stop() { s.process.Load().end(syscall.SIGTERM) }

// Kill ends the process so that it can finish nothing. Its plugins end some time after they have noticed.
func (s *Server) Kill() { s.process.Load().end(syscall.SIGKILL) }

// end ends the process by a signal, or, if that is not obeyed, by force.
func (p *process) end(sig syscall.Signal) {
	p.endOnce.Do(func() {
		_ = p.command.Process.Signal(sig)
		patience := time.NewTimer(15 * time.Second)
		defer patience.Stop()
		select {
		case <-p.exited:
		case <-patience.C:
			_ = p.command.Process.Kill()
			<-p.exited
		}
		if p.watchdog != nil {
			_ = p.watchdog.Close() // the shell's kill meets nobody
		}
	})
}

func (s *Server) hasExited() bool {
	select {
	case <-s.process.Load().exited:
		return true
	default:
		return false
	}
}

// whileAlive is Poll, but gives up when the process has ended.
func (s *Server) whileAlive(limit time.Duration, attempt func() error) error {
	ended := false
	err := Poll(limit, func() error {
		if ended = s.hasExited(); ended {
			return nil
		}
		return attempt()
	})
	if ended {
		err = errors.New("the process has ended")
	}
	if err != nil {
		return fmt.Errorf("%w (vault's log is %s)", err, s.LogFile())
	}
	return nil
}

// PID is the ID of the server's process.
func (s *Server) PID() int { return s.process.Load().command.Process.Pid }

// PluginPIDs returns the plugin processes: Vault has no other children. It starts some for a moment, to ask a plugin for its
// version.
func (s *Server) PluginPIDs() ([]int, error) {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(s.PID())).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: there is none
		return nil, fmt.Errorf("pgrep: %w", err)
	}
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("pgrep: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
