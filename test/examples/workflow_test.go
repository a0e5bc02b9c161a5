//go:build e2e

package examples

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestWorkflow runs what the steps of the GitHub workflow run, with what the step before them gives them: a token of Vault with
// the policy of the page, and the fields of a lease that was read with it.
func TestWorkflow(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	r.mount(t, map[string]any{"ttl": "10m"})
	if err := r.Root.Sys().EnableAuthWithOptions("jwt", &api.EnableAuthOptions{Type: "jwt"}); err != nil {
		t.Fatal(err)
	}
	p := r.openPage(t, "github-actions")
	p.env = []string{"VAULT_TOKEN=" + r.Root.Token()}
	p.next(t, "auth/jwt/role/workfront-reports")
	p.end(t)

	created, err := r.Root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"workfront-reports"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := r.NewClient(created.Auth.ClientToken)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := client.Logical().Read("workfront/token/reports")
	if err != nil {
		t.Fatal(err)
	}
	p.env = []string{
		"ACCESS_TOKEN=" + lease.Data["access_token"].(string), "BASE_URL=" + lease.Data["base_url"].(string),
		"VAULT_TOKEN=" + created.Auth.ClientToken,
	}
	scripts := steps(t, example(t, "github-actions/workfront.yml"))
	if len(scripts) != 2 {
		t.Fatalf("the workflow has %d steps that run something, want 2", len(scripts))
	}
	var users struct{ Data []struct{ Name string } }
	out := run(t, p.shell(t, scripts[0]))
	if err := json.Unmarshal([]byte(out), &users); err != nil || len(users.Data) != 1 || users.Data[0].Name != r.workfront.User.Name {
		t.Errorf("got %q, want the user %s", out, r.workfront.User.Name)
	}
	run(t, p.shell(t, scripts[1]))
	r.waitNoSession(t)
}

// steps are the scripts of a workflow's steps. (The file as a whole is decoded in test/decode.)
func steps(t *testing.T, workflow string) (scripts []string) {
	t.Helper()
	const mark, indent = "        run: |\n", "          "
	for _, after := range strings.Split(workflow, mark)[1:] {
		var script strings.Builder
		for line := range strings.Lines(after) {
			text, inside := strings.CutPrefix(line, indent)
			if !inside {
				break
			}
			script.WriteString(text)
		}
		scripts = append(scripts, script.String())
	}
	return scripts
}
