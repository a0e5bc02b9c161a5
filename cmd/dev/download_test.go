package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestNewest(t *testing.T) {
	versions := []string{
		"1.19.0",
		"1.19.5",
		"1.9.9",
		"1.21.4",
		"1.21.10",
		"1.22.0-rc1",
		"1.21.11+ent",
		"2.0.1",
		"2.1.0",
		"10.0.0",
		"odd",
	}
	for line, want := range map[string]string{
		"1": "1.21.10", "1.19": "1.19.5", "2": "2.1.0", "2.0": "2.0.1", "1.1": "", "3": "",
	} {
		if got := newest(versions, line); got != want {
			t.Errorf("line %s: got %q, want %q", line, got, want)
		}
	}
}

// zipped and tarred are archives that hold one executable of that name.
func zipped(t *testing.T, name string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write([]byte("the binary"))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func tarred(t *testing.T, name string) []byte {
	t.Helper()
	var archive bytes.Buffer
	z := gzip.NewWriter(&archive)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: 10})
	if err == nil {
		_, err = w.Write([]byte("the binary"))
	}
	if err != nil || w.Close() != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestDownload(t *testing.T) {
	platform := runtime.GOOS + "_" + runtime.GOARCH
	sumOf := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	vault, bao, terraform := zipped(t, "vault"), tarred(t, "bao"), zipped(t, "terraform")
	index := fmt.Sprintf(
		`{"versions": {"2.0.0": {}, "1.19.5": {"shasums": "SUMS", "builds": [{"os": %q, "arch": %q, "filename": "vault.zip"}]}}}`,
		runtime.GOOS,
		runtime.GOARCH,
	)
	releases := fmt.Sprintf(
		`[{"tag_name": "v2.7.0-beta1"},
			{"tag_name": "v2.6.2", "assets": [{"name": "openbao_2.6.2_%s.tar.gz"}, {"name": "checksums.txt"}]}]`,
		platform,
	)
	terraforms := fmt.Sprintf(
		`{"versions": {"1.15.0": {"shasums": "SUMS", "builds": [{"os": %q, "arch": %q, "filename": "terraform.zip"}]}}}`,
		runtime.GOOS,
		runtime.GOARCH,
	)
	site := map[string][]byte{
		"/terraform/index.json":           []byte(terraforms),
		"/terraform/1.15.0/terraform.zip": terraform,
		"/terraform/1.15.0/SUMS":          []byte(sumOf(terraform) + "  terraform.zip\n"),
		"/vault/index.json":               []byte(index),
		"/vault/1.19.5/vault.zip":         vault,
		"/vault/1.19.5/SUMS":              []byte(sumOf(vault) + "  vault.zip\n"),
		"/repos/openbao/openbao/releases": []byte(releases),
		"/openbao/openbao/releases/download/v2.6.2/openbao_2.6.2_" + platform + ".tar.gz": bao,
		"/openbao/openbao/releases/download/v2.6.2/checksums.txt": []byte(
			sumOf(bao) + "  openbao_2.6.2_" + platform + ".tar.gz\n",
		),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, found := site[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	defer server.Close()
	v := vendors{client: server.Client(), hashicorp: server.URL, github: server.URL, downloads: server.URL}

	dir := t.TempDir()
	for _, tt := range []struct{ product, line, want string }{
		{"vault", "1.19", "vault-1.19.5"}, {"openbao", "2", "bao-2.6.2"}, {"terraform", "1", "terraform-1.15.0"},
	} {
		path, err := v.download(t.Context(), tt.product, tt.line, dir)
		if err != nil || filepath.Base(path) != tt.want {
			t.Errorf("%s %s: got %s, error %v, want %s", tt.product, tt.line, path, err, tt.want)
			continue
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != "the binary" {
			t.Errorf("%s holds %q, error %v", path, content, err)
		}
	}
	for _, tt := range []struct{ product, line, want string }{
		{"vault", "2", "no vault 2"}, // not for this platform
		{"vault", "3", "no vault 3"},
		{"openbao", "3", "no OpenBao 3"},
		{"terraform", "2", "no terraform 2"},
		{"consul", "1", errUsage.Error()},
	} {
		if path, err := v.download(
			t.Context(),
			tt.product,
			tt.line,
			dir,
		); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %s, error %v, want %q", tt.product, tt.line, path, err, tt.want)
		}
	}
	site["/vault/1.19.5/vault.zip"] = append(vault, 0)
	if path, err := v.download(
		t.Context(),
		"vault",
		"1.19",
		t.TempDir(),
	); err == nil ||
		!strings.Contains(err.Error(), "checksum") {
		t.Errorf("an archive with another checksum: got %s, error %v", path, err)
	}
}
