package decode

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// These read what the forge runs, which cannot be run here. (actionlint checks the syntax, as part of `make lint`.)

const top = "../.."

// forgeJob is what the tests look at of a job.
type forgeJob struct {
	Needs       any               `json:"needs"` // a name, or several
	Environment string            `json:"environment"`
	Permissions map[string]string `json:"permissions"`
	Steps       []struct {
		ID   string         `json:"id"`
		Uses string         `json:"uses"`
		With map[string]any `json:"with"`
		Run  string         `json:"run"`
	} `json:"steps"`
}

func forgeJobs(t *testing.T, name string) map[string]forgeJob {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(top, ".github", "workflows", name))
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Jobs map[string]forgeJob `json:"jobs"`
	}
	// The decoder takes the key for YAML 1.1's word for true.
	loose(t, name, strings.Replace(string(content), "\non:", "\n\"on\":", 1), &w)
	if len(w.Jobs) == 0 {
		t.Fatalf("%s has no jobs", name)
	}
	return w.Jobs
}

// runs reports whether a step of the job runs something.
func (j forgeJob) runs(part string) bool {
	for _, step := range j.Steps {
		if strings.Contains(step.Run, part) {
			return true
		}
	}
	return false
}

// Actions are pinned by commit, and Go is the one that go.mod names.
func TestWorkflowSteps(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no workflows", err)
	}
	for _, file := range files {
		for name, job := range forgeJobs(t, filepath.Base(file)) {
			for _, step := range job.Steps {
				if step.Uses != "" && !regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
					t.Errorf("%s, %s: %q is not pinned by commit", file, name, step.Uses)
				}
				if strings.HasPrefix(step.Uses, "actions/setup-go@") && step.With["go-version-file"] != "go.mod" {
					t.Errorf("%s, %s: it sets up Go by %v, want go-version-file: go.mod", file, name, step.With)
				}
			}
		}
	}
}

func TestWeeklyChecks(t *testing.T) {
	jobs := forgeJobs(t, "weekly.yml")
	for _, command := range []string{"make toolchain", "make vuln VULN_REQUIRED=1"} {
		if !slices.ContainsFunc(slices.Collect(maps.Values(jobs)), func(j forgeJob) bool { return j.runs(command) }) {
			t.Errorf("no weekly job runs %s", command)
		}
	}
}

// A release is tested before anything of it is signed or published; that takes a person's approval, and each job that
// does a part of it may do that part alone.
func TestReleaseWorkflow(t *testing.T) {
	jobs := forgeJobs(t, "release.yml")
	writes := func(j forgeJob) (scopes []string) {
		for scope, access := range j.Permissions {
			if access == "write" {
				scopes = append(scopes, scope)
			}
		}
		return scopes
	}
	// before are the jobs that have succeeded when a job starts.
	var before func(name string) map[string]bool
	before = func(name string) map[string]bool {
		done := map[string]bool{}
		for _, need := range needs(jobs[name].Needs) {
			if _, known := jobs[need]; !known {
				t.Errorf("%s needs %s, which does not exist", name, need)
			}
			done[need] = true
			maps.Copy(done, before(need))
		}
		return done
	}
	var tested, used string
	for name, job := range jobs {
		switch {
		case job.runs(".ci/run"):
			tested = name
		case job.runs("make release-test"):
			used = name
		}
		if job.Permissions == nil {
			t.Errorf("%s does not say its permissions", name)
		}
		scopes := writes(job)
		if job.runs("make ") && !job.runs("make bin/image") && len(scopes) > 0 {
			t.Errorf("%s builds, and may write %q", name, scopes)
		}
		if slices.Contains(scopes, "contents") && len(scopes) > 1 {
			t.Errorf("%s may write %q: the draft of the release needs contents alone", name, scopes)
		}
	}
	if tested == "" || used == "" {
		t.Fatal("no job runs the tests, or none uses what was built")
	}
	published := 0
	for name, job := range jobs {
		if len(writes(job)) == 0 {
			continue
		}
		published++
		done := before(name)
		if !done[tested] || !done[used] {
			t.Errorf("%s may write %q, and starts after %v; want after %s and %s", name, writes(job), done, tested, used)
		}
		approved := job.Environment != ""
		for need := range done {
			approved = approved || jobs[need].Environment != ""
		}
		if !approved {
			t.Errorf("%s may write %q without an environment, in which a person approves it", name, writes(job))
		}
	}
	if published == 0 {
		t.Error("no job publishes")
	}
}

func needs(value any) (names []string) {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, name := range value {
			names = append(names, name.(string))
		}
	}
	return names
}

// The names of images are in lower case, whatever the repository is called.
func TestReleasedImageName(t *testing.T) {
	var script string
	for _, step := range forgeJobs(t, "release.yml")["build"].Steps {
		if step.ID == "made" {
			script = step.Run
		}
	}
	dir := t.TempDir()
	output := filepath.Join(dir, "output")
	for name, content := range map[string]string{"release/SHA256SUMS": "", "image-digest": "sha256:0\n"} {
		file := filepath.Join(dir, "bin", "dist", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GITHUB_OUTPUT="+output, "GITHUB_REPOSITORY=Acme-Corp/Workfront.Plugin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(output)
	if err != nil || !strings.Contains(string(got), "image=ghcr.io/acme-corp/workfront.plugin\n") {
		t.Errorf("got %q, error %v", got, err)
	}
}

// Every module, npm package and image of the repository is kept up to date.
func TestDependabot(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(top, ".github", "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directory   string   `json:"directory"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	loose(t, "dependabot.yml", string(content), &d)
	got := map[string][]string{}
	for _, u := range d.Updates {
		if u.Directory != "" {
			u.Directories = append(u.Directories, u.Directory)
		}
		got[u.Ecosystem] = append(got[u.Ecosystem], u.Directories...)
	}
	want := map[string][]string{"github-actions": {"/"}}
	add := func(ecosystem, file string) {
		directory := "/" + strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), ".")
		if !slices.Contains(want[ecosystem], directory) {
			want[ecosystem] = append(want[ecosystem], directory)
		}
	}
	err = fs.WalkDir(os.DirFS(top), ".", func(file string, entry fs.DirEntry, err error) error {
		// A Vault is pinned with what it was built with.
		if err == nil && entry.IsDir() && slices.Contains([]string{".git", "bin", "test/vault"}, file) || entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		switch {
		case err != nil:
			return err
		case entry.Name() == "go.mod":
			add("gomod", file)
		case entry.Name() == "package.json":
			add("npm", file)
		case strings.HasSuffix(file, ".yaml"):
			text, err := fs.ReadFile(os.DirFS(top), file)
			if err != nil {
				return err
			}
			if regexp.MustCompile(`\bimage: \S+@sha256:`).Match(text) {
				add("docker", file)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for ecosystem := range want {
		slices.Sort(got[ecosystem])
		slices.Sort(want[ecosystem])
		if !slices.Equal(got[ecosystem], want[ecosystem]) {
			t.Errorf("%s: got %q, want %q", ecosystem, got[ecosystem], want[ecosystem])
		}
	}
}
