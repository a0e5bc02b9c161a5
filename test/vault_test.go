//go:build e2e

package test

import (
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
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// pluginName is what the plugin is registered as, and the type of its mounts.
const pluginName = "vault-plugin-secrets-workfront"

// vaultServer is a Vault server process: not in dev mode, so that it can be sealed.
type vaultServer struct {
	dir       string
	process   *exec.Cmd
	exited    chan struct{} // closed when the process has ended
	watchdog  io.Closer
	root      *api.Client
	unsealKey string
	stopOnce  sync.Once
}

// vaults are all servers of this run; the logs of those that have ended are searched too.
var vaults struct {
	sync.Mutex
	all []*vaultServer
}

func (v *vaultServer) logFile() string   { return filepath.Join(v.dir, "vault.log") }
func (v *vaultServer) auditFile() string { return filepath.Join(v.dir, "audit.log") }
func (v *vaultServer) socket() string    { return filepath.Join(v.dir, "vault.sock") }

// pluginDir holds a copy of the plugin under the name by which it is registered. All servers use it.
var pluginDir = sync.OnceValues(func() (string, error) {
	path := os.Getenv(envPlugin)
	if path == "" {
		return "", fmt.Errorf("%s is not set: set it to the absolute path of the built plugin (make build)", envPlugin)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", envPlugin, err)
	}
	dir := filepath.Join(runDir, "plugins")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, pluginName), content, 0o700)
})

// startVault starts a server, initialises and unseals it, switches its audit log on and registers the plugin.
func startVault() (*vaultServer, error) {
	binary := os.Getenv(envVault)
	if binary == "" {
		return nil, fmt.Errorf("%s is not set: set it to the absolute path of a Vault binary (scripts/build-vault.sh makes one)", envVault)
	}
	plugins, err := pluginDir()
	if err != nil {
		return nil, err
	}
	vaults.Lock()
	v := &vaultServer{dir: filepath.Join(runDir, "v"+strconv.Itoa(len(vaults.all)+1)), exited: make(chan struct{})}
	vaults.all = append(vaults.all, v)
	vaults.Unlock()
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		return nil, err
	}
	if err := v.run(binary, plugins); err != nil {
		return nil, fmt.Errorf("start vault: %w", err)
	}
	if v.root, err = v.newClient(""); err == nil {
		err = v.setUp(plugins)
	}
	if err != nil {
		v.stop()
		return nil, fmt.Errorf("set vault up (its log is %s): %w", v.logFile(), err)
	}
	return v, nil
}

// run starts the process. It listens on a socket in its directory: free ports can be taken by others before Vault is.
func (v *vaultServer) run(binary, plugins string) error {
	config := fmt.Sprintf(`
storage "inmem" {}
listener "unix" { address = %q }
plugin_directory = %q
api_addr = "http://127.0.0.1:8200"
disable_mlock = true
disable_clustering = true
raw_storage_endpoint = true
log_level = "trace"
`, v.socket(), plugins)
	configFile := filepath.Join(v.dir, "config.hcl")
	if err := os.WriteFile(configFile, []byte(config), 0o600); err != nil {
		return err
	}
	log, err := os.Create(v.logFile())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	v.process = exec.Command(binary, "server", "-config", configFile)
	v.process.Stdout, v.process.Stderr = log, log
	if err := v.process.Start(); err != nil {
		return err
	}
	go func() {
		_ = v.process.Wait()
		close(v.exited)
	}()
	return v.watch()
}

// watch starts a shell that stops Vault when this process ends in whatever way: its end of the pipe is closed then.
// Vault stops its plugins.
func (v *vaultServer) watch() error {
	shell := exec.Command("sh", "-c", `cat; kill "$0" 2>/dev/null`, strconv.Itoa(v.process.Process.Pid))
	pipe, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	v.watchdog = pipe
	if err := shell.Start(); err != nil {
		return err
	}
	go func() { _ = shell.Wait() }()
	return nil
}

func (v *vaultServer) setUp(plugins string) error {
	var initialised *api.InitResponse
	err := poll(30*time.Second, func() error {
		select {
		case <-v.exited:
			return nil // the next call says so
		default:
		}
		var err error
		initialised, err = v.root.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
		return err
	})
	if err == nil && initialised == nil {
		err = errors.New("the process has ended")
	}
	if err != nil {
		return err
	}
	v.unsealKey = initialised.Keys[0]
	v.root.SetToken(initialised.RootToken)
	if err := v.unseal(); err != nil {
		return err
	}
	err = v.root.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type:    "file",
		Options: map[string]string{"file_path": v.auditFile(), "log_raw": "false"},
	})
	if err != nil {
		return err
	}
	return v.register(plugins, pluginName, "")
}

// unseal unseals the server and waits until it is active.
func (v *vaultServer) unseal() error {
	if _, err := v.root.Sys().Unseal(v.unsealKey); err != nil {
		return err
	}
	return poll(30*time.Second, func() error {
		health, err := v.root.Sys().Health()
		if err != nil {
			return err
		}
		if !health.Initialized || health.Sealed || health.Standby {
			return fmt.Errorf("vault is not active: %+v", *health)
		}
		return nil
	})
}

// register enters the plugin into the catalog by its checksum, under a version unless that is "".
func (v *vaultServer) register(plugins, name, version string) error {
	content, err := os.ReadFile(filepath.Join(plugins, pluginName))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	return v.root.Sys().RegisterPlugin(&api.RegisterPluginInput{
		Name:    name,
		Type:    api.PluginTypeSecrets,
		Command: pluginName,
		SHA256:  hex.EncodeToString(sum[:]),
		Version: version,
	})
}

// stop ends the process, and with it the plugins.
func (v *vaultServer) stop() {
	v.stopOnce.Do(func() {
		if v.process == nil || v.process.Process == nil {
			return
		}
		_ = v.process.Process.Signal(syscall.SIGTERM)
		patience := time.NewTimer(15 * time.Second)
		defer patience.Stop()
		select {
		case <-v.exited:
		case <-patience.C:
			_ = v.process.Process.Kill()
			<-v.exited
		}
		if v.watchdog != nil {
			_ = v.watchdog.Close() // whose kill meets nobody, or is what this is about
		}
	})
}

func stopAllVaults() {
	vaults.Lock()
	all := vaults.all
	vaults.Unlock()
	var stopping sync.WaitGroup
	for _, v := range all {
		stopping.Go(v.stop)
	}
	stopping.Wait()
}

// newClient makes a client that records what it gets and never tries again by itself.
func (v *vaultServer) newClient(token string) (*api.Client, error) {
	dial := func() (net.Conn, error) { return net.Dial("unix", v.socket()) }
	client, err := api.NewClient(&api.Config{
		Address:    "http://vault",
		HttpClient: &http.Client{Transport: &recorder{next: unixTransport(dial)}},
		Timeout:    time.Minute,
	})
	if err != nil {
		return nil, err
	}
	client.SetMaxRetries(0)
	client.SetToken(token)
	return client, nil
}

// clientWith makes a client whose token has a policy of these rules, and Vault's default one.
func (v *vaultServer) clientWith(t *testing.T, rules string) *api.Client {
	t.Helper()
	policy := uniqueName(t)
	if err := v.root.Sys().PutPolicy(policy, rules); err != nil {
		t.Fatal(err)
	}
	created, err := v.root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{policy}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := v.newClient(created.Auth.ClientToken)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// pluginPIDs returns the plugin processes: Vault has no other children.
func (v *vaultServer) pluginPIDs() ([]int, error) {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(v.process.Process.Pid)).Output()
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

// onePluginProcess waits until there is one plugin process, and returns its ID. Vault starts others for a moment, to
// ask the plugin for its version.
func (v *vaultServer) onePluginProcess(t *testing.T) int {
	t.Helper()
	var pids []int
	eventually(t, 20*time.Second, func() error {
		var err error
		if pids, err = v.pluginPIDs(); err == nil && len(pids) != 1 {
			err = fmt.Errorf("there are %d plugin processes, want 1", len(pids))
		}
		return err
	})
	return pids[0]
}
