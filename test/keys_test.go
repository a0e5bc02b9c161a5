//go:build e2e

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// keyPair is a key as openssl made it.
type keyPair struct {
	private, certificate         string // PEM
	privateFile, certificateFile string
}

// openssl runs the openssl binary and returns what it prints.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := runOpenssl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func runOpenssl(args ...string) (string, error) {
	cmd := exec.Command("openssl", args...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("openssl %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// opensslKey is the key of this run, which most tests import.
func opensslKey(t *testing.T) keyPair {
	t.Helper()
	key, err := opensslKeyOnce()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var opensslKeyOnce = sync.OnceValues(func() (keyPair, error) {
	dir := filepath.Join(runDir, "key")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return keyPair{}, err
	}
	return adobeKey(dir)
})

// adobeKey generates a key by the very command that Adobe documents (oauth-app-jwt-flow), but for the subject, which is
// asked for otherwise.
func adobeKey(dir string) (keyPair, error) {
	k := keyPair{privateFile: filepath.Join(dir, "private.key"), certificateFile: filepath.Join(dir, "certificate_pub.crt")}
	_, err := runOpenssl("req", "-x509", "-sha256", "-nodes", "-newkey", "rsa:2048", "-keyout", k.privateFile, "-out", k.certificateFile,
		"-subj", "/C=JP/O=Example/CN=workfront integration")
	if err != nil {
		return k, err
	}
	private, err := os.ReadFile(k.privateFile)
	if err != nil {
		return k, err
	}
	certificate, err := os.ReadFile(k.certificateFile)
	if err != nil {
		return k, err
	}
	k.private, k.certificate = string(private), string(certificate)
	leaks.addPrivateKey(k.private)
	return k, nil
}

// tempFile writes text into a file of the test.
func tempFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
