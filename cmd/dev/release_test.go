package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnpackRelease(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(distDir, 0o700); err != nil {
		t.Fatal(err)
	}
	archive := tarred(t, pluginName)
	if err := os.WriteFile(filepath.Join(distDir, "p_1_linux_amd64.tar.gz"), archive, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(archive)
	binary := sha256.Sum256([]byte("the binary"))
	good := map[string]string{
		"p_1_linux_amd64.tar.gz": hex.EncodeToString(sum[:]),
		"p_1_linux_amd64":        hex.EncodeToString(binary[:]),
	}
	if got, err := unpack(good, "_linux_amd64", "good"); err != nil || got != good["p_1_linux_amd64"] {
		t.Errorf("got %s, error %v", got, err)
	}
	for name, sums := range map[string]map[string]string{
		"another archive": {"p_1_linux_amd64.tar.gz": strings.Repeat("0", 64), "p_1_linux_amd64": good["p_1_linux_amd64"]},
		"another binary": {
			"p_1_linux_amd64.tar.gz": good["p_1_linux_amd64.tar.gz"], "p_1_linux_amd64": strings.Repeat("0", 64),
		},
		"no binary": {"p_1_linux_amd64.tar.gz": good["p_1_linux_amd64.tar.gz"]},
	} {
		if got, err := unpack(sums, "_linux_amd64", name); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
}

func TestCompareReleases(t *testing.T) {
	one := map[string]string{"a": "1", "image": "2"}
	for name, other := range map[string]map[string]string{
		"a file that differs": {"a": "1", "image": "3"},
		"a file less":         {"a": "1"},
		"a file more":         {"a": "1", "image": "2", "b": "1"},
	} {
		if err := compare(one, other); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if err := compare(one, map[string]string{"a": "1", "image": "2"}); err != nil {
		t.Errorf("the same: %v", err)
	}
}

func TestReleaseNotes(t *testing.T) {
	const changelog = "# Changelog\n\n## [Unreleased]\n\n- later\n\n" +
		"## [0.2.0] - 2027-01-02\n\n### Added\n\n- this\n\n## [0.1.0]\n\n- before\n"
	for version, want := range map[string]string{
		"v0.2.0":       "### Added\n\n- this\n\nBuilt with go1.26.3.\n",
		"v0.1.0":       "- before\n\nBuilt with go1.26.3.\n",
		"v0.2.0+dirty": "", "v0.2": "", "v0.3.0": "",
	} {
		if got, err := releaseNotes(changelog, version, "go1.26.3"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, error %v, want %q", version, got, err, want)
		}
	}
}

// A release is built with the Go that go.mod names, even if the machine has another one.
func TestReleaseWithAnotherGo(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("GOTOOLCHAIN", "local")
	for name, content := range map[string]string{
		"go.mod": "module m\n\ngo 1.26.0\n\ntoolchain go1.26.99\n", "CHANGELOG.md": "## [0.1.0-dev]\n\n- this\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (releaser{dir: "."}).tagged(t.Context()); err == nil || !strings.Contains(err.Error(), "with go1.26.99") {
		t.Errorf("got error %v, want one that names the Go to build with", err)
	}
}

// What is published has the names and the checksums of SHA256SUMS, whatever it is called where it was built.
func TestCollectRelease(t *testing.T) {
	sum := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	for _, tt := range []struct{ name, sums, wantErr string }{
		{"all", sum("the binary") + "  p_1_linux_amd64\n" + sum("an SBOM") + "  p.cdx.json\n", ""},
		{"a changed file", sum("another binary") + "  p_1_linux_amd64\n", "p_1_linux_amd64 has checksum"},
		{"a file that was not made", sum("the binary") + "  p_1_linux_arm64\n", "does not list p_1_linux_arm64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, content := range map[string]string{
				"plugin_linux_amd64_v1/p": "the binary", "p.cdx.json": "an SBOM", "config.yaml": "not published", "SHA256SUMS": tt.sums,
				"artifacts.json": `[{"name":"p","path":"bin/dist/plugin_linux_amd64_v1/q","type":"Binary"},` +
					`{"name":"p_1_linux_amd64","path":"bin/dist/plugin_linux_amd64_v1/p","type":"Binary"},` +
					`{"name":"p.cdx.json","path":"bin/dist/p.cdx.json","type":"SBOM"}]`,
			} {
				file := filepath.Join(distDir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := (releaser{dir: "."}).collect()
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("got error %v, want %q", err, tt.wantErr)
			}
			if tt.wantErr != "" {
				return
			}
			files, err := os.ReadDir(uploadDir)
			if err != nil || len(files) != 3 {
				t.Errorf("got %v, error %v; want the two files and the list", files, err)
			}
			if got, err := os.ReadFile(filepath.Join(uploadDir, "p_1_linux_amd64")); string(got) != "the binary" {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
}
