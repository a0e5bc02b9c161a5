//go:build e2e

// Package examples runs what is in the folder examples as its pages say: against a real Vault and a stand-in for
// Workfront. What needs a Kubernetes or GitHub is decoded in test/decode instead. What needs a Terraform is behind the build
// tag terraform.
package examples

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
	"vault-plugin-secrets-workfront/test/vaultserver"
)

const pluginName = "vault-plugin-secrets-workfront"

// patience is how long a test waits for what a program does at once, on a machine that is busy.
const patience = 45 * time.Second

// rig is a Vault of its own with the plugin in its catalog, reachable over TCP, and a stand-in for Workfront.
type rig struct {
	*vaultserver.Server
	workfront *workfronttest.Integration
	address   string // of Vault, as VAULT_ADDR
	dir       string // for files of the test
	bin       string // holds vault, which is the server's binary
}

func startRig(t *testing.T) *rig {
	t.Helper()
	vault := cmp.Or(os.Getenv("VAULT_BIN"), os.Getenv("BAO_BIN"))
	plugin := os.Getenv("PLUGIN_BIN")
	if vault == "" || plugin == "" {
		t.Fatal("VAULT_BIN (or BAO_BIN) and PLUGIN_BIN must be set: run make test-examples")
	}
	// Vault refuses a plugin directory that is a symbolic link, as macOS' temporary directory is one.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: dir, bin: filepath.Join(dir, "bin")}
	server, plugins := filepath.Join(dir, "server"), filepath.Join(dir, "plugins")
	for _, d := range []string{r.bin, server, plugins} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(plugin)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(plugins, pluginName), string(content), 0o700)
	for _, name := range []string{"vault", "bao"} {
		if err := os.Symlink(vault, filepath.Join(r.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.Server, err = vaultserver.Start(vaultserver.Options{
		Binary: vault, Dir: server, PluginDir: plugins, LogLevel: "debug",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Stop()
		if log, err := os.ReadFile(r.LogFile()); t.Failed() && err == nil {
			t.Logf("the end of the server's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	if err := errors.Join(r.Initialise(), r.Register(pluginName, pluginName, "")); err != nil {
		t.Fatal(err)
	}
	r.address = "http://" + forward(t, r.Server)
	r.startWorkfront(t)
	return r
}

func (r *rig) startWorkfront(t *testing.T) {
	t.Helper()
	var err error
	if r.workfront, err = workfronttest.StartIntegration(workfronttest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.workfront.Close)
	write(t, r.path("ca.pem"), r.workfront.CACert(), 0o600)
}

// mount sets up workfront/ with a key that the stand-in knows, and the role reports.
func (r *rig) mount(t *testing.T, role map[string]any) {
	t.Helper()
	if err := r.Root.Sys().Mount("workfront", &api.MountInput{Type: pluginName}); err != nil {
		t.Fatal(err)
	}
	r.addPublicKey(t, r.write(t, "workfront/keys/default/generate", nil).Data["certificate"].(string))
	w := r.workfront
	r.write(t, "workfront/config", map[string]any{
		"base_url": w.URL(), "ca_cert": w.CACert(), "allow_custom_host": true,
		"client_id": w.App.ClientID, "client_secret": w.App.ClientSecret, "customer_id": w.App.CustomerID, "user_id": w.User.ID,
	})
	r.write(t, "workfront/roles/reports", role)
}

// addPublicKey is what the user does in Workfront's Setup.
func (r *rig) addPublicKey(t *testing.T, certificate string) {
	t.Helper()
	if _, err := r.workfront.Upload(certificate); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) write(t *testing.T, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := r.Root.Logical().Write(path, data)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	return secret
}

// policy stores a policy file of the examples under its name.
func (r *rig) policy(t *testing.T, name, file string) {
	t.Helper()
	if err := r.Root.Sys().PutPolicy(name, example(t, file)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// token has these policies and no others.
func (r *rig) token(t *testing.T, policies ...string) string {
	t.Helper()
	created, err := r.Root.Auth().Token().Create(&api.TokenCreateRequest{Policies: policies, NoDefaultPolicy: true})
	if err != nil {
		t.Fatal(err)
	}
	return created.Auth.ClientToken
}

// leases are those of the role reports.
func (r *rig) leases(t *testing.T) []string {
	t.Helper()
	const prefix = "workfront/token/reports"
	listed, err := r.Root.Logical().List("sys/leases/lookup/" + prefix)
	if err != nil {
		t.Fatal(err)
	}
	if listed == nil {
		return nil
	}
	var ids []string
	for _, id := range listed.Data["keys"].([]any) {
		ids = append(ids, prefix+"/"+id.(string))
	}
	return ids
}

// waitNoSession waits until every session is logged out or expired, and every lease is gone.
func (r *rig) waitNoSession(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		if s := r.workfront.Stats(); s.Alive+s.Undelivered != 0 {
			return errors.New("there are sessions left")
		}
		if len(r.leases(t)) != 0 {
			return errors.New("there are leases left")
		}
		return nil
	})
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// command is a program in the folder of an example ("" for the test's own directory), in an environment in which it finds
// Vault and trusts the stand-in.
func (r *rig) command(t *testing.T, folder, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.dir
	if folder != "" {
		cmd.Dir = exampleDir(t, folder)
	}
	// As if by Ctrl-C; what does not obey is killed. A child that keeps the output open is not waited for.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "VAULT_") && !strings.HasPrefix(entry, "BAO_") && !strings.HasPrefix(entry, "PATH=") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env,
		"PATH="+r.bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"HOME="+r.dir, // no token helper's file
		// Go's caches are below the real HOME.
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"),
		"VAULT_ADDR="+r.address,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
		// Each program trusts the certificates that it is told to by a variable of its own: curl, requests, Node, Go.
		"CURL_CA_BUNDLE="+r.path("ca.pem"), "REQUESTS_CA_BUNDLE="+r.path("ca.pem"),
		"NODE_EXTRA_CA_CERTS="+r.path("ca.pem"), "SSL_CERT_FILE="+r.path("ca.pem"),
	)
	return cmd
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// run runs a command to its end and returns what it printed.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out.String())
	}
	return out.String()
}

// forward listens on loopback and passes each connection on to the server, which has a Unix socket only.
func forward(t *testing.T, server *vaultserver.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { join(ctx, in, server) })
		}
	})
	return listener.Addr().String()
}

// join copies both ways until one side ends.
func join(ctx context.Context, in net.Conn, server *vaultserver.Server) {
	out, err := server.Dial(ctx)
	if err != nil {
		_ = in.Close()
		return
	}
	end := sync.OnceFunc(func() { _, _ = in.Close(), out.Close() })
	defer context.AfterFunc(ctx, end)()
	var copying sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		copying.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			end()
		})
	}
	copying.Wait()
}

func eventually(t *testing.T, attempt func() error) {
	t.Helper()
	if err := vaultserver.Poll(patience, attempt); err != nil {
		t.Fatal(err)
	}
}

func exampleDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// example is the text of a file in the folder examples.
func example(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(exampleDir(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
