package decode

import (
	"io/fs"
	"maps"
	"os"
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
	Steps []struct {
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
