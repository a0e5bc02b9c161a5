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
		"v0.2.0": "### Added\n\n- this\n", "v0.1.0": "- before\n", "v0.2.0+dirty": "", "v0.2": "", "v0.3.0": "",
	} {
		if got, err := releaseNotes(changelog, version); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, error %v, want %q", version, got, err, want)
		}
	}
}
