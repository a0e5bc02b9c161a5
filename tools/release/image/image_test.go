package main

import (
	"archive/tar"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	server := httptest.NewServer(registry.New())
	defer server.Close()
	contents := map[string]string{"linux/amd64": "the one", "linux/arm64": "the other"}
	b := builder{
		created:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		annotations: map[string]string{"org.opencontainers.image.version": "v1.2.3"},
	}
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://")+"/plugin:v1.2.3", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, testIndex(t, b, contents), remote.WithContext(t.Context())); err != nil {
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
