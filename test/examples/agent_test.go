//go:build e2e

package examples

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
	"vault-plugin-secrets-workfront/test/vaultserver"
)

// agentPage is the page on Agent and Proxy after its set-up, on a mount whose role has these settings.
func agentPage(t *testing.T, role map[string]any) (*rig, *page) {
	t.Helper()
	r := startRig(t)
	r.mount(t, role)
	state := r.path("run")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	p := r.openPage(t, "vault-agent",
		"/etc/vault-agent", r.path("page-vault-agent"), "/run/workfront", state, "https://vault.example.com:8200", r.address)
	p.env = []string{"VAULT_TOKEN=" + r.Root.Token()}
	p.next(t, "vault policy write")
	p.next(t, "role-id")
	p.env = nil // Agent, Proxy and what they serve have no token but their own
	return r, p
}

// startAgent starts `vault agent` or `vault proxy` with a configuration of the page.
func (p *page) startAgent(t *testing.T, what, config string) (*exec.Cmd, *output) {
	t.Helper()
	cmd := p.command(t, filepath.Join(p.rig.bin, "vault"), what, "-config="+filepath.Join(p.dir, config))
	cmd.Env = append(cmd.Env, "REPORTS_INTERVAL=0.1")
	log := &output{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %s:\n%s", what, config, log)
		}
	})
	return cmd, log
}

// sessionFile is what Agent's template writes.
type sessionFile struct {
	BaseURL     string `json:"base_url"`
	AccessToken string `json:"access_token"`
	ExpiresAt   string `json:"expires_at"`
}

// waitSession waits until the file holds a living session that is not this one.
func (r *rig) waitSession(t *testing.T, old string) (session sessionFile) {
	t.Helper()
	eventually(t, func() error {
		content, err := os.ReadFile(r.path("run/session.json"))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, &session); err != nil {
			return fmt.Errorf("%q: %w", content, err)
		}
		if session.AccessToken == old || !r.workfront.SessionAlive(session.AccessToken) {
			return errors.New("the file holds no living session that is new")
		}
		return nil
	})
	return session
}

func TestAgentTemplate(t *testing.T) {
	t.Parallel()
	r, p := agentPage(t, map[string]any{"ttl": "10m"})
	agent, _ := p.startAgent(t, "agent", "template.hcl") // the blocks after the next one are TestProxy's
	first := r.waitSession(t, "")
	if first.BaseURL != r.workfront.URL() || first.ExpiresAt == "" {
		t.Errorf("the file holds %+v", first)
	}
	// The session dies early; Agent is started again.
	r.workfront.ExpireSessions()
	stop(t, agent)
	p.startAgent(t, "agent", "template.hcl")
	r.waitSession(t, first.AccessToken)
	// What Agent left in its sink revokes all: its first token is another one.
	p.next(t, "token revoke -self")
	eventually(t, func() error {
		if alive := r.workfront.Stats().Alive; alive != 0 {
			return fmt.Errorf("%d sessions are alive, want 0", alive)
		}
		return nil
	})
}

// TestAgentReplaces: a lease that cannot be renewed is replaced before it expires, and renewed where it can be.
func TestAgentReplaces(t *testing.T) {
	t.Parallel()
	r, p := agentPage(t, map[string]any{"ttl": "5s", "max_ttl": "5s"})
	p.startAgent(t, "agent", "template.hcl")
	first := r.waitSession(t, "")
	r.waitSession(t, first.AccessToken)
	r.write(t, "workfront/roles/reports", map[string]any{"max_ttl": "10m"})
	eventually(t, func() error {
		for _, id := range r.leases(t) {
			if found, err := r.Root.Sys().Lookup(id); err == nil && found.Data["last_renewal"] != nil {
				return nil
			}
		}
		return errors.New("no lease was renewed")
	})
}

func TestAgentExec(t *testing.T) {
	t.Parallel()
	r, p := agentPage(t, map[string]any{"ttl": "10m"})
	works := func() {
		t.Helper()
		calls := r.workfront.Stats().APICalls
		eventually(t, func() error {
			if r.workfront.Stats().APICalls < calls+2 {
				return errors.New("the program does not call Workfront")
			}
			return nil
		})
	}
	agent, _ := p.startAgent(t, "agent", "exec.hcl")
	works()
	r.workfront.ExpireSessions()
	var exit *exec.ExitError
	if err := agent.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 75 {
		t.Errorf("Agent ended with %v, want the program's exit code, 75", err)
	}
	// As systemd does.
	agent, _ = p.startAgent(t, "agent", "exec.hcl")
	works()
	if got := r.workfront.Stats(); got.Started != 2 || got.Alive != 1 {
		t.Errorf("%d sessions started, %d alive; want 2 and 1", got.Started, got.Alive)
	}
	stop(t, agent)
	revoke := unitCommand(t, p, "ExecStopPost=-")
	run(t, p.shell(t, revoke))
	eventually(t, func() error {
		if alive := r.workfront.Stats().Alive; alive != 0 {
			return fmt.Errorf("%d sessions are alive, want 0", alive)
		}
		return nil
	})
}

// TestAgentExecReplaces: the program is started anew with the next session. Agent reads that after 90 % of the lease, and waits
// for two seconds more before it starts a program: the rest of the lease has to be longer, on a busy machine too.
func TestAgentExecReplaces(t *testing.T) {
	t.Parallel()
	r, p := agentPage(t, map[string]any{"ttl": "60s", "max_ttl": "60s"})
	p.startAgent(t, "agent", "exec.hcl")
	err := vaultserver.Poll(2*time.Minute, func() error {
		used := map[string]bool{}
		for _, request := range r.workfront.Requests() {
			if request.Endpoint == workfronttest.EndpointAPI && request.Status == http.StatusOK {
				used[request.Header.Get("sessionID")] = true
			}
		}
		if len(used) < 2 {
			return fmt.Errorf("the program has used %d sessions, want 2", len(used))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	r, p := agentPage(t, map[string]any{"ttl": "10m"})
	p.left = p.left[1:] // on stopping Agent
	_, log := p.startAgent(t, "proxy", "proxy.hcl")
	eventually(t, func() error {
		if _, err := os.Stat(r.path("run/proxy.sock")); err != nil {
			return err
		}
		if !strings.Contains(log.String(), "authentication successful") {
			return errors.New("Proxy has not logged in")
		}
		return nil
	})
	read := p.left[0]
	p.next(t, "/v1/workfront/token/reports")
	p.left = append([]string{read}, p.left...)
	p.next(t, "/v1/workfront/token/reports") // again, by another program
	if got := r.workfront.Stats(); got.Started != 1 || got.Alive != 1 {
		t.Errorf("%d sessions started, %d alive; want 1 and 1: Proxy caches", got.Started, got.Alive)
	}
	r.workfront.ExpireSessions()
	p.next(t, "/v1/sys/leases/revoke")
	if got := r.workfront.Stats(); got.Started != 2 || got.Alive != 1 {
		t.Errorf("%d sessions started, %d alive; want 2 and 1: the first is dead", got.Started, got.Alive)
	}
	p.end(t)
}

func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its exit code says that it was stopped
}

// unitCommand is the command of a setting in the systemd unit, with the vault of the test.
func unitCommand(t *testing.T, p *page, setting string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, "workfront-reports.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(content), "\n"+setting)
	if !found {
		t.Fatalf("the unit has no %s", setting)
	}
	line, _, _ := strings.Cut(after, "\n")
	return strings.ReplaceAll(line, "/usr/bin/vault", "vault")
}
