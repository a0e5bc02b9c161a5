// Package vaultserver runs real Vault servers as processes: for the end-to-end tests, the soak and the benchmark.
package vaultserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"
)

// Options say which server to start. Those down to LogLevel are required.
type Options struct {
	Binary     string // of Vault
	Dir        string // for its configuration, log and socket; exists
	PluginDir  string // no symbolic link: Vault refuses that
	LogLevel   string // of Vault and its plugins
	RawStorage bool   // sys/raw shows what is in storage
	Telemetry  bool   // sys/metrics shows what Vault counts
	// Raft makes the server a node of a cluster. Without it, storage is in memory, and the server alone.
	Raft *Raft
	// Wrap is put around the transport of every client.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Server is a Vault server process: not in dev mode, so that it can be sealed.
type Server struct {
	Root      *api.Client // with the root token, once there is one
	UnsealKey string

	options  Options
	process  *exec.Cmd
	exited   chan struct{} // closed when the process has ended
	watchdog io.Closer
	stopOnce sync.Once
}

// Start starts the process. What it is told of storage may be there already: a node that was stopped is started again so.
func Start(o Options) (*Server, error) {
	s := &Server{options: o, exited: make(chan struct{})}
	configFile := filepath.Join(o.Dir, "config.hcl")
	if err := os.WriteFile(configFile, []byte(s.config()), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	s.process = exec.Command(o.Binary, "server", "-config", configFile)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("start vault: %w", err)
	}
	go func() {
		_ = s.process.Wait()
		close(s.exited)
	}()
	if err := s.watch(); err != nil {
		s.Kill()
		return nil, fmt.Errorf("watch vault: %w", err)
	}
	if s.Root, err = s.NewClient(""); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// config is the server's configuration. Alone, it listens on a socket in its directory: free ports can be taken by others
// before Vault is.
func (s *Server) config() string {
	o := s.options
	text := fmt.Sprintf(`
plugin_directory = %q
disable_mlock = true
raw_storage_endpoint = %t
log_level = %q
`, o.PluginDir, o.RawStorage, o.LogLevel)
	if o.Telemetry {
		text += `
telemetry {
  disable_hostname = true
  prometheus_retention_time = "1h"
  usage_gauge_period = "none"
}
`
	}
	if o.Raft != nil {
		return text + o.Raft.config(o.Dir)
	}
	return text + fmt.Sprintf(`
storage "inmem" {}
listener "unix" { address = %q }
api_addr = "http://127.0.0.1:8200"
disable_clustering = true
`, s.socket())
}

// LogFile holds what the server and its plugins have logged.
func (s *Server) LogFile() string { return filepath.Join(s.options.Dir, "vault.log") }

// AuditFile is where EnableAudit has requests logged.
func (s *Server) AuditFile() string { return filepath.Join(s.options.Dir, "audit.log") }

func (s *Server) socket() string { return filepath.Join(s.options.Dir, "vault.sock") }

// watch starts a shell that stops Vault when this process ends in whatever way: its end of the pipe is closed then.
// Vault stops its plugins.
func (s *Server) watch() error {
	shell := exec.Command("sh", "-c", `cat; kill "$0" 2>/dev/null`, strconv.Itoa(s.PID()))
	pipe, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	s.watchdog = pipe
	if err := shell.Start(); err != nil {
		return err
	}
	go func() { _ = shell.Wait() }()
	return nil
}

// Initialise makes the root token and the unseal key of a new server, and unseals it.
func (s *Server) Initialise() error {
	var initialised *api.InitResponse
	err := Poll(30*time.Second, func() error {
		if s.hasExited() {
			return nil // the next line says so
		}
		var err error
		initialised, err = s.Root.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
		return err
	})
	if err == nil && initialised == nil {
		err = errors.New("the process has ended")
	}
	if err != nil {
		return fmt.Errorf("initialise vault (its log is %s): %w", s.LogFile(), err)
	}
	s.UnsealKey = initialised.Keys[0]
	s.Root.SetToken(initialised.RootToken)
	return s.Unseal()
}

// Unseal unseals the server and waits until it is active.
func (s *Server) Unseal() error {
	if _, err := s.Root.Sys().Unseal(s.UnsealKey); err != nil {
		return fmt.Errorf("unseal vault: %w", err)
	}
	return s.WaitActive(30 * time.Second)
}

// WaitActive waits until the server is unsealed and active.
func (s *Server) WaitActive(limit time.Duration) error {
	return Poll(limit, func() error {
		health, err := s.Root.Sys().Health()
		if err != nil {
			return err
		}
		if !health.Initialized || health.Sealed || health.Standby {
			return fmt.Errorf("vault is not active: %+v", *health)
		}
		return nil
	})
}

// EnableAudit has requests logged in AuditFile.
func (s *Server) EnableAudit() error {
	return s.Root.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type:    "file",
		Options: map[string]string{"file_path": s.AuditFile(), "log_raw": "false"},
	})
}

// Register enters a secrets engine into the plugin catalog, by the checksum of that file in the plugin directory, and under
// a version unless that is "".
func (s *Server) Register(name, file, version string) error {
	content, err := os.ReadFile(filepath.Join(s.options.PluginDir, file))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	return s.Root.Sys().RegisterPlugin(&api.RegisterPluginInput{
		Name:    name,
		Type:    api.PluginTypeSecrets,
		Command: file,
		SHA256:  hex.EncodeToString(sum[:]),
		Version: version,
	})
}

// NewClient makes a client that never tries again by itself.
func (s *Server) NewClient(token string) (*api.Client, error) {
	transport := s.Transport()
	if s.options.Wrap != nil {
		transport = s.options.Wrap(transport)
	}
	address := "http://127.0.0.1:8200" // never dialled: Transport knows where the server is
	if s.options.Raft != nil {
		address = s.options.Raft.url()
	}
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{Transport: transport}, Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	client.SetMaxRetries(0)
	client.SetToken(token)
	return client, nil
}

// maxIdle is how many connections a client keeps open: as many as the benchmark has clients.
const maxIdle = 128

// Transport reaches the server, whatever host a request names.
func (s *Server) Transport() http.RoundTripper {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) },
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     time.Minute,
	}
}

// Dial opens a connection to the server.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	if raft := s.options.Raft; raft != nil {
		return new(net.Dialer).DialContext(ctx, "tcp", raft.Address)
	}
	return new(net.Dialer).DialContext(ctx, "unix", s.socket())
}

// Stop ends the process, and with it the plugins.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		patience := time.NewTimer(15 * time.Second)
		defer patience.Stop()
		select {
		case <-s.exited:
		case <-patience.C:
			_ = s.process.Process.Kill()
			<-s.exited
		}
		s.dismissWatchdog()
	})
}

// Kill ends the process so that it can finish nothing. Its plugins end when they notice.
func (s *Server) Kill() {
	s.stopOnce.Do(func() {
		_ = s.process.Process.Kill()
		<-s.exited
		s.dismissWatchdog()
	})
}

// dismissWatchdog ends the shell. Its kill meets nobody.
func (s *Server) dismissWatchdog() {
	if s.watchdog != nil {
		_ = s.watchdog.Close()
	}
}

func (s *Server) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// PID is the ID of the server's process.
func (s *Server) PID() int { return s.process.Process.Pid }

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
