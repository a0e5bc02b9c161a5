//go:build e2e

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// OpenBao downloads the plugin from a registry on loopback, as docs/openbao.md tells an operator. It needs the server: BAO_BIN.
func TestOpenBaoTakesTheImage(t *testing.T) {
	bao := os.Getenv("BAO_BIN")
	if bao == "" {
		t.Fatal("BAO_BIN is not set: set it to the absolute path of an OpenBao binary")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/" + pluginName
	ref, err := name.ParseReference(repository+":v1.2.3", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	const content = "what is in the binary"
	index := testIndex(t, builder{created: time.Unix(1_800_000_000, 0).UTC()}, map[string]string{
		"linux/amd64": content, "linux/arm64": content,
	})
	if err := remote.WriteIndex(ref, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, sum string
		taken     bool
	}{
		{"the checksum of the binary", fmt.Sprintf("%x", sha256.Sum256([]byte(content))), true},
		{"another checksum", strings.Repeat("0", 64), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(t.TempDir(), "openbao.hcl")
			text := fmt.Sprintf(`
plugin_directory = %q
plugin "secret" %q {
  image       = %q
  version     = "v1.2.3"
  binary_name = %q
  sha256sum   = %q
}
`, dir, pluginName, repository, pluginName, tt.sum)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), bao, "plugin", "init", "-config="+config)
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.taken {
				t.Fatalf("bao plugin init on %s: %v\n%s", runtime.GOARCH, err, out)
			}
			got, err := os.ReadFile(filepath.Join(dir, "secret-"+pluginName+"-v1.2.3"))
			if taken := err == nil && string(got) == content; taken != tt.taken {
				t.Errorf("the plugin in plugin_directory: %q, %v\n%s", got, err, out)
			}
		})
	}
}
