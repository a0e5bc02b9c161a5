package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func testIndex(t *testing.T, b builder, contents map[string]string) v1.ImageIndex {
	t.Helper()
	var images []platformImage
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		source := filepath.Join(t.TempDir(), "plugin")
		if err := os.WriteFile(source, []byte(contents[platform]), 0o600); err != nil {
			t.Fatal(err)
		}
		parsed, err := v1.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		image, err := b.image(*parsed, []file{
			{path: "/" + pluginName, source: source, mode: 0o755},
			{path: "/licenses/LICENSE", source: source, mode: 0o644},
		})
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, platformImage{*parsed, image})
	}
	return b.index(images)
}

// What a server does with the image: it asks a registry for that of its platform, and takes the binary that the
// entrypoint names, from the root (OpenBao, internal/helper/pluginutil/oci).
func TestImageFromRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	contents := map[string]string{"linux/amd64": "the one", "linux/arm64": "the other"}
	dir := t.TempDir()
	args := []string{
		"-o", filepath.Join(dir, "oci"), "-created", "2026-01-02T03:04:05Z", "-annotation", "org.opencontainers.image.version=v1.2.3",
	}
	for platform, content := range contents {
		file := filepath.Join(dir, path.Base(platform))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-binary", platform+"="+file)
	}
	var assembled, pushed bytes.Buffer
	if err := run(t.Context(), args, &assembled); err != nil {
		t.Fatal(err)
	}
	repository := strings.TrimPrefix(server.URL, "http://") + "/plugin"
	push := []string{"-from", filepath.Join(dir, "oci"), "-insecure", "-push", repository + ":v1.2.3"}
	if err := run(t.Context(), push, &pushed); err != nil {
		t.Fatal(err)
	}
	if assembled.String() != pushed.String() {
		t.Errorf("%q was assembled, and %q pushed", assembled.String(), pushed.String())
	}
	ref, err := name.ParseReference(repository+"@"+strings.TrimSpace(assembled.String()), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range contents {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(ref, remote.WithPlatform(*platform), remote.WithContext(t.Context()))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != platform.Architecture ||
			config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" {
			t.Errorf("%s: architecture %s, labels %v", text, config.Architecture, config.Config.Labels)
		}
		entrypoint := config.Config.Entrypoint
		if len(entrypoint) != 1 || entrypoint[0] != "/"+pluginName {
			t.Fatalf("%s: entrypoint %v, want the plugin at the root", text, entrypoint)
		}
		if got, mode := extract(t, image, pluginName); got != want || mode != 0o755 {
			t.Errorf("%s: got %q with mode %o, want %q, 755", text, got, mode, want)
		}
		if user := config.Config.User; !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user) {
			t.Errorf("%s: it runs as %q, want numbers of a user and a group that are not root's", text, user)
		}
	}
}

// A command line that mixes both uses does neither.
func TestCommandLine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "oci")
	for _, args := range [][]string{
		nil,
		{"-push", "registry.example.com/plugin:v1.2.3"},
		{"-o", out},
		{"-from", out, "-o", out},
		{"-binary", "linux/amd64=main.go", "-created", "2026-01-02T03:04:05Z", "-o", out, "-push", "registry.example.com/plugin:v1.2.3"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), "are required") {
			t.Errorf("%q: got error %v, want one that says what is required", args, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: a layout was written", args)
		}
	}
}

func extract(t *testing.T, image v1.Image, name string) (content string, mode int64) {
	t.Helper()
	files := mutate.Extract(image)
	defer func() { _ = files.Close() }()
	for r := tar.NewReader(files); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("the image holds no %s", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == name {
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(content), header.Mode
		}
	}
}

func TestImageIsReproducible(t *testing.T) {
	b := builder{created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	contents := map[string]string{"linux/amd64": "the one", "linux/arm64": "the other"}
	first, err := testIndex(t, b, contents).Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := testIndex(t, b, contents).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("digests %s and %s, want one", first, second)
	}
}
