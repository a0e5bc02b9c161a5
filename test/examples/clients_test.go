//go:build e2e

package examples

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// client is a running program that takes paths of Workfront's API and prints answers.
type client struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	stderr  *output
}

// output keeps what a program writes, for a test that reads it meanwhile.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// commands are the clients, as their page says to start them.
var commands = map[string]func(t *testing.T, r *rig) *exec.Cmd{
	"shell": func(t *testing.T, r *rig) *exec.Cmd { return r.command(t, "clients/shell", "./workfront-get") },
	"python": func(t *testing.T, r *rig) *exec.Cmd {
		return r.command(t, "clients/python", pythonWithHVAC(t), "workfront_get.py")
	},
	"node": func(t *testing.T, r *rig) *exec.Cmd {
		if _, err := os.Stat(exampleDir(t, "clients/node/node_modules/node-vault")); err != nil {
			t.Fatal("node-vault is not installed: run npm ci in examples/clients/node")
		}
		return r.command(t, "clients/node", "node", "workfront-get.mjs")
	},
	"go": func(t *testing.T, r *rig) *exec.Cmd {
		binary := r.path("workfront-get")
		run(t, r.command(t, "clients/go", "go", "build", "-o", binary, "."))
		return r.command(t, "clients/go", binary)
	},
}

// pythonWithHVAC is the first Python that finds hvac: Debian's packages are those of /usr/bin/python3.
func pythonWithHVAC(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import hvac").Run() == nil {
			return name
		}
	}
	t.Fatal("Python's module hvac is not installed: apt-get install python3-hvac")
	return ""
}

func (r *rig) startClient(t *testing.T, name, token string) *client {
	t.Helper()
	c := &client{cmd: commands[name](t, r), stderr: &output{}}
	c.cmd.Env = append(c.cmd.Env, "VAULT_TOKEN="+token, "WORKFRONT_TOKEN_PATH=workfront/token/reports")
	c.cmd.Stderr = c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.answers = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Wait() // what has ended already says so; what has not ends with its context
	})
	return c
}

// get asks for a user and checks that the answer holds it.
func (c *client) get(t *testing.T, id string) {
	t.Helper()
	if _, err := io.WriteString(c.in, "user/"+id+"\n"); err != nil {
		t.Fatalf("%v\n%s", err, c.stderr)
	}
	if !c.answers.Scan() {
		t.Fatalf("no answer\n%s", c.stderr)
	}
	var answer struct{ Data struct{ ID string } }
	if err := json.Unmarshal(c.answers.Bytes(), &answer); err != nil || answer.Data.ID != id {
		t.Fatalf("got %q, want the user %s", c.answers.Bytes(), id)
	}
}

// end closes the program's input and waits for it to end well.
func (c *client) end(t *testing.T) {
	t.Helper()
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, c.stderr)
	}
}

func TestClients(t *testing.T) {
	t.Parallel()
	for name := range commands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t)
			r.mount(t, map[string]any{"ttl": "10m"})
			r.policy(t, "client", "clients/policy.hcl")
			token := r.token(t, "client")
			t.Run("uses one session and revokes it at its end", func(t *testing.T) { clientUses(t, r, name, token) })
			t.Run("revokes when it is stopped by a signal", func(t *testing.T) { clientStops(t, r, name, token) })
			t.Run("reads again on a 401", func(t *testing.T) { clientReadsAgain(t, r, name, token) })
			t.Run("fails on a second 401", func(t *testing.T) { clientFails(t, r, name, token) })
			t.Run("renews", func(t *testing.T) { clientRenews(t, r, name, token) })
			t.Run("reads again where it cannot renew", func(t *testing.T) { clientReplaces(t, r, name, token) })
		})
	}
}

func clientUses(t *testing.T, r *rig, name, token string) {
	before := r.workfront.Stats().Started
	c := r.startClient(t, name, token)
	for range 3 {
		c.get(t, r.workfront.User.ID)
	}
	if got := r.workfront.Stats(); got.Started != before+1 || got.Alive != 1 {
		t.Errorf("%d sessions started, %d alive; want 1 and 1", got.Started-before, got.Alive)
	}
	c.end(t)
	r.waitNoSession(t)
}

func clientStops(t *testing.T, r *rig, name, token string) {
	c := r.startClient(t, name, token)
	c.get(t, r.workfront.User.ID)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err == nil {
		t.Error("the program was stopped, and says that all went well")
	}
	r.waitNoSession(t)
}

func clientReadsAgain(t *testing.T, r *rig, name, token string) {
	before := r.workfront.Stats().Started
	c := r.startClient(t, name, token)
	c.get(t, r.workfront.User.ID)
	r.workfront.ExpireSessions()
	c.get(t, r.workfront.User.ID)
	if got := r.workfront.Stats().Started - before; got != 2 {
		t.Errorf("%d sessions started, want 2", got)
	}
	c.end(t)
	r.waitNoSession(t)
}

// clientFails: what is permitted nothing any more must not make a program read tokens for ever.
func clientFails(t *testing.T, r *rig, name, token string) {
	before := r.workfront.Stats().Started
	defer r.workfront.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Status: http.StatusUnauthorized})()
	c := r.startClient(t, name, token)
	if _, err := io.WriteString(c.in, "user/"+r.workfront.User.ID+"\n"); err != nil {
		t.Fatal(err)
	}
	if c.answers.Scan() {
		t.Errorf("got the answer %q, want none", c.answers.Bytes())
	}
	if err := c.cmd.Wait(); err == nil || !strings.Contains(c.stderr.String(), "401") {
		t.Errorf("got %v and %q, want a failure that names the status 401", err, c.stderr)
	}
	if got := r.workfront.Stats().Started - before; got != 2 {
		t.Errorf("%d sessions started, want 2", got)
	}
	r.waitNoSession(t)
}

// clientRenews waits until the lease was renewed: Vault says when.
func clientRenews(t *testing.T, r *rig, name, token string) {
	// Long enough for a busy machine to be in time with the renewal.
	r.write(t, "workfront/roles/reports", map[string]any{"ttl": "20s", "max_ttl": "10m"})
	before := r.workfront.Stats().Started
	c := r.startClient(t, name, token)
	eventually(t, func() error {
		c.get(t, r.workfront.User.ID)
		leases := r.leases(t)
		if len(leases) != 1 {
			return fmt.Errorf("there are %d leases, want 1", len(leases))
		}
		found, err := r.Root.Sys().Lookup(leases[0])
		if err == nil && found.Data["last_renewal"] == nil {
			err = errors.New("the lease was not renewed")
		}
		return err
	})
	if got := r.workfront.Stats().Started - before; got != 1 {
		t.Errorf("%d sessions started, want 1", got)
	}
	c.end(t)
	r.waitNoSession(t)
}

func clientReplaces(t *testing.T, r *rig, name, token string) {
	r.write(t, "workfront/roles/reports", map[string]any{"ttl": "3s", "max_ttl": "3s"})
	before := r.workfront.Stats().Started
	c := r.startClient(t, name, token)
	eventually(t, func() error {
		c.get(t, r.workfront.User.ID)
		if r.workfront.Stats().Started-before < 3 {
			return errors.New("the client did not read again twice")
		}
		return nil
	})
	c.end(t)
	r.waitNoSession(t)
}

// TestClientsPage runs the commands of the clients' page, all four programs.
func TestClientsPage(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	r.mount(t, map[string]any{"ttl": "10m"})
	p := r.openPage(t, "clients",
		// Node finds its packages, and Go its module, where the example is.
		"node node/", "node "+exampleDir(t, "clients/node")+"/", "cd go", "cd "+exampleDir(t, "clients/go"),
		"python3 python", pythonWithHVAC(t)+" python")
	p.env = []string{"VAULT_TOKEN=" + r.Root.Token()}
	out := p.next(t, "vault policy write")
	if got := strings.Count(out, r.workfront.User.Name); got != 4 {
		t.Errorf("%d answers hold the user's name, want 4:\n%s", got, out)
	}
	r.waitNoSession(t)
	if got := r.workfront.Stats(); got.LoggedOut != 4 {
		t.Errorf("%d sessions were logged out, want 4", got.LoggedOut)
	}
	p.end(t)
}
