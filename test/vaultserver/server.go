// Package vaultserver runs real Vault or OpenBao servers as processes: for the end-to-end tests, the soak and the benchmark.
package vaultserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
)

// Options say which server to start. Those down to LogLevel are required.
type Options struct {
	Binary     string // of Vault or OpenBao
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

	options Options
	version string // such as `OpenBao v2.6.2`
	process atomic.Pointer[process]
}

// Start starts the process.
func Start(o Options) (*Server, error) {
	s := &Server{options: o}
	for _, path := range []*string{&s.options.Binary, &s.options.Dir} { // the process works in another directory
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	var err error
	if s.version, err = versionOf(s.options.Binary); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.configFile(), []byte(s.config()), 0o600); err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	if s.Root, err = s.NewClient(""); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

// versionOf asks the binary.
func versionOf(binary string) (string, error) {
	out, err := exec.Command(binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", binary, err)
	}
	words := strings.Fields(string(out))
	if len(words) < 2 {
		return "", fmt.Errorf("%s version answers %q", binary, out)
	}
	return words[0] + " " + words[1], nil
}

// IsOpenBao tells OpenBao from Vault, for what differs between them.
func (s *Server) IsOpenBao() bool { return strings.HasPrefix(s.version, "OpenBao ") }

// IsLine tells a line of releases, such as `OpenBao v2.5` or `Vault v1.19`, for what an old one lacks.
func (s *Server) IsLine(line string) bool { return strings.HasPrefix(s.version, line+".") }

// refusesLeasesOnStandbys: standbys of OpenBao before 2.6.2 do not forward it when a lease is to be renewed or revoked, but
// answer 500. docs/openbao.md says what to set, and so does config.
func (s *Server) refusesLeasesOnStandbys() bool {
	return s.IsLine("OpenBao v2.5") || s.version == "OpenBao v2.6.0" || s.version == "OpenBao v2.6.1"
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
	if s.IsOpenBao() {
		text += fmt.Sprintf(`
audit "file" "file" {
  options = {
    file_path = %q
    log_raw = "false"
  }
}
`, auditName)
	}
	if o.Raft != nil {
		if s.refusesLeasesOnStandbys() {
			text += "disable_standby_reads = true\n"
		}
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

const auditName = "audit.log"

// AuditFile is where EnableAudit has requests logged. A node of a cluster makes it when it becomes active.
func (s *Server) AuditFile() string { return filepath.Join(s.options.Dir, auditName) }

func (s *Server) socket() string { return filepath.Join(s.options.Dir, "vault.sock") }

// Initialise makes the root token and the unseal key of a new server, and unseals it.
func (s *Server) Initialise() error {
	var initialised *api.InitResponse
	err := s.whileAlive(30*time.Second, func() (err error) {
		initialised, err = s.Root.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
		return err
	})
	if err != nil {
		return fmt.Errorf("initialise vault: %w", err)
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

// EnableAudit has requests logged in AuditFile. In a cluster it does so for all nodes: the setting is the same for them, and
// each takes its own working directory. OpenBao takes audit devices from its configuration alone, where config declares it.
func (s *Server) EnableAudit() error {
	if s.IsOpenBao() {
		return nil
	}
	return s.Root.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type:    "file",
		Options: map[string]string{"file_path": auditName, "log_raw": "false"},
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
	address := "http://127.0.0.1:8200" // not dialled: Transport knows where the server is
	if s.options.Raft != nil {
		address = s.options.Raft.url()
	}
	httpClient := &http.Client{Transport: keepsIdle{transport}}
	client, err := api.NewClient(&api.Config{Address: address, HttpClient: httpClient, Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	client.SetMaxRetries(0)
	client.SetToken(token)
	return client, nil
}

// keepsIdle hides CloseIdleConnections. Vault's client calls it whenever a request fails, and with that breaks requests of
// others that were about to be sent on those connections.
type keepsIdle struct{ http.RoundTripper }

// maxIdle is how many connections a client keeps open: as many as the benchmark has clients.
const maxIdle = 128

// Transport reaches the server. One that is alone is reached whatever host a request names; the nodes of a cluster send their
// clients to one another.
func (s *Server) Transport() http.RoundTripper {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if s.options.Raft == nil {
				return s.Dial(ctx)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
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
