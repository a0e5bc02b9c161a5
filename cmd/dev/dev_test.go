package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestServerVersions(t *testing.T) {
	tests := []struct {
		output    string
		want      string // "" if it is no server
		command   string
		supported bool
	}{
		{"Vault v1.21.0 (abc), built 2025-10-21T17:42:49Z\n", "Vault v1.21.0", "vault", true},
		{"Vault v1.21.0\n", "Vault v1.21.0", "vault", true},
		{"Vault v1.19.0, built 2025-03-04\n", "Vault v1.19.0", "vault", true},
		{"Vault v1.18.5 (abc)\n", "Vault v1.18.5", "vault", false},
		{"Vault v1.21.0+ent (abc)\n", "Vault v1.21.0+ent", "vault", true},
		{"Vault v2.1.0 (abc)\n", "Vault v2.1.0", "vault", true},
		{"OpenBao v2.6.2 (abc), built 2026-08-18\n", "OpenBao v2.6.2", "bao", true},
		{"OpenBao v2.4.1 (abc)\n", "OpenBao v2.4.1", "bao", false},
		{"OpenBao v2.0.0-HEAD\n", "OpenBao v2.0.0-HEAD", "bao", true},
		{"vault 0.6.0, a game\n", "", "", false},
		{"", "", "", false},
	}
	for _, tt := range tests {
		s, err := parseServer("/usr/bin/x", tt.output)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", tt.output, s)
			}
			continue
		}
		if err != nil || s.String() != tt.want || s.command() != tt.command || s.supported() != tt.supported {
			t.Errorf("%q: got %s, command %s, supported %t, error %v; want %s, %s, %t",
				tt.output, s, s.command(), s.supported(), err, tt.want, tt.command, tt.supported)
		}
	}
}

func TestServerThatIsUsed(t *testing.T) {
	dir := t.TempDir()
	fake := func(name, output string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+output+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fake("vault", "Vault v1.15.0")
	bao := fake("bao", "OpenBao v2.6.2")
	t.Setenv("PATH", dir)
	t.Setenv(envVault, "")
	t.Setenv(envBao, "")

	if s, err := anyServer(t.Context()); err != nil || s.path != bao {
		t.Errorf("with a vault that is too old, and a bao: got %s, error %v, want %s", s.path, err, bao)
	}
	other := fake("other", "Vault v1.15.0")
	t.Setenv(envBao, bao)
	t.Setenv(envVault, other)
	if s, err := anyServer(t.Context()); err != nil || s.path != other {
		t.Errorf("with %s: got %s, error %v, want %s: who names a server gets it", envVault, s.path, err, other)
	}
	t.Setenv(envVault, dir)
	if s, err := testServer(t.Context(), newestLine); err == nil || !strings.Contains(err.Error(), envVault) {
		t.Errorf("with a directory as %s: got %s, error %v", envVault, s.path, err)
	}
}

func TestBuildProgress(t *testing.T) {
	p := &progress{}
	for _, chunk := range []string{
		"go: downloading example.com/a v1", ".0.0\ninternal/abi\nexample.com/a/v2\n", "# example.com/a\na.go:1:2: undefined: x",
	} {
		if _, err := p.Write([]byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := p.String(), "1 modules downloaded, 2 packages compiled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := p.messages(), "# example.com/a\na.go:1:2: undefined: x"; got != want {
		t.Errorf("got messages %q, want %q", got, want)
	}
}

func TestCoverage(t *testing.T) {
	// Two test binaries: each lists every block.
	const profile = `mode: atomic
mod/a.go:1.1,2.2 3 1
mod/internal/x/x.go:1.1,2.2 4 0
mod/internal/x/x.go:3.1,4.2 1 0
mod/a.go:1.1,2.2 3 0
mod/internal/x/x.go:1.1,2.2 4 7
mod/internal/x/x.go:3.1,4.2 1 0
`
	c, err := readCoverage(strings.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	if c["mod"] != (share{3, 3}) || c["mod/internal/x"] != (share{4, 5}) {
		t.Errorf("got %v", c)
	}
	var out strings.Builder
	if err := c.report(&out, 80); err != nil {
		t.Errorf("80 %% of 80: %v", err)
	}
	if err := c.report(&out, 81); err == nil {
		t.Error("81 % of 80: got no error")
	}
	if !strings.Contains(out.String(), "  80.0 %      5 statements  internal/ in total\n") {
		t.Errorf("printed\n%s", out.String())
	}
}

func TestVersion(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "")
	want := func(name, version string) {
		t.Helper()
		b, err := describe(t.Context(), dir)
		if err != nil || !regexp.MustCompile("^"+version+"$").MatchString(b.version) {
			t.Errorf("%s: got %q, error %v, want %s", name, b.version, err, version)
		}
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command(
			"git",
			append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-01-02T03:04:05+09:00")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	want("no repository", `v0\.1\.0-dev`)
	git("init", "-q")
	want("no commit", `v0\.1\.0-dev`)
	git("commit", "-q", "--allow-empty", "-m", "x")
	want("a commit", `v0\.1\.0-dev\+[0-9a-f]{12}`)
	git("tag", "v1.2")
	git("tag", "nightly")
	want("tags that are no versions", `v0\.1\.0-dev\+[0-9a-f]{12}`)
	git("tag", "v1.2.3")
	git("tag", "v1.10.0")
	want("two versions", `v1\.10\.0`)
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want("a change", `v1\.10\.0\+dirty`)
	b, err := describe(t.Context(), dir)
	if err != nil || b.date != "2026-01-01T18:04:05Z" {
		t.Errorf("date is %q, error %v, want the commit's, in UTC", b.date, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	if b, err = describe(t.Context(), dir); err != nil || b.date != "1970-01-01T00:00:00Z" {
		t.Errorf("with SOURCE_DATE_EPOCH: date is %q, error %v", b.date, err)
	}
}

func TestQuote(t *testing.T) {
	for _, word := range []string{"https://a.example", "", "it's; rm -rf $HOME `x`", "a b"} {
		out, err := exec.Command("bash", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%s: got %q, error %v, want %q", quote(word), out, err, word)
		}
	}
}
