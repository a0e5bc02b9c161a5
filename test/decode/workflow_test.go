package decode

import (
	"regexp"
	"strings"
	"testing"
)

// workflow is what the example uses of GitHub's workflow syntax. (actionlint, which knows all of it, is part of `make lint`.)
type workflow struct {
	Name string `json:"name"`
	On   struct {
		Schedule []struct {
			Cron string `json:"cron"`
		} `json:"schedule"`
		Dispatch *struct{} `json:"workflow_dispatch"`
	} `json:"on"`
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		RunsOn      string            `json:"runs-on"`
		Permissions map[string]string `json:"permissions"`
		Env         map[string]string `json:"env"`
		Steps       []struct {
			Name string            `json:"name"`
			ID   string            `json:"id"`
			If   string            `json:"if"`
			Uses string            `json:"uses"`
			With map[string]any    `json:"with"`
			Env  map[string]string `json:"env"`
			Run  string            `json:"run"`
		} `json:"steps"`
	} `json:"jobs"`
}

// vaultActionInputs are those of hashicorp/vault-action 3.4.0 that the example uses.
var vaultActionInputs = map[string]bool{
	"url": true, "method": true, "path": true, "role": true, "jwtGithubAudience": true, "secrets": true, "exportEnv": true, "outputToken": true,
}

func TestWorkflow(t *testing.T) {
	const name = "github-actions/workfront.yml"
	var w workflow
	// The decoder takes the key for YAML 1.1's word for true.
	decode(t, name, strings.Replace(example(t, name), "\non:", "\n\"on\":", 1), &w)
	job := w.Jobs["report"]
	if len(job.Steps) != 3 {
		t.Fatalf("the job has %d steps, want 3", len(job.Steps))
	}
	if job.Permissions["id-token"] != "write" {
		t.Error("the job cannot get a token of GitHub to log in with")
	}
	read, last := job.Steps[0], job.Steps[2]
	if !regexp.MustCompile(`^hashicorp/vault-action@[0-9a-f]{40}$`).MatchString(read.Uses) {
		t.Errorf("vault-action is %q, want it pinned by commit", read.Uses)
	}
	for input := range read.With {
		if !vaultActionInputs[input] {
			t.Errorf("vault-action has no input %q", input)
		}
	}
	if !strings.Contains(last.If, "always()") || !strings.Contains(last.Run, "revoke-self") {
		t.Errorf("the last step is %+v, want it to revoke the token in any case", last)
	}
}
