package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The whole of it as a process: build, start, add a key, exchange, stop.
func TestProcess(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "workfront-simulator")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	dir := filepath.Join(t.TempDir(), "state")
	var stderr bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, "-dir", dir, "-session-ttl", "90s", "-tell-reasons", "-refusal-form", "rfc6749")
	process.Stderr = &stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	file := filepath.Join(dir, "simulator.json")
	described := waitForDescription(t, file, ended)
	for name, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, file: 0o600, filepath.Join(dir, "ca.pem"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode(), err, want)
		}
	}

	client := trustOnly(t, described.CACertFile)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	keys := described.BaseURL + "/simulator/applications/" + described.ClientID + "/public-keys?user_id=" + described.UserID
	publicPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if status, body := post(t, client, keys, "application/x-pem-file", publicPEM); status != http.StatusCreated || !strings.Contains(body, "fingerprint_sha256") {
		t.Fatalf("add the key: got %d %s", status, body)
	}
	jwt := sign(t, key, described)
	form := url.Values{"client_id": {described.ClientID}, "client_secret": {described.ClientSecret}, "jwt_token": {jwt}}
	const formType = "application/x-www-form-urlencoded"
	exchange := described.BaseURL + "/integrations/oauth2/api/v1/jwt/exchange"
	status, body := post(t, client, exchange, formType, form.Encode())
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.AccessToken == "" {
		t.Fatalf("exchange: got %d %s", status, body)
	}
	if answer.ExpiresIn < 60 || answer.ExpiresIn > 90 {
		t.Errorf("expires_in: got %d, want 90 or a little less", answer.ExpiresIn)
	}
	form.Set("client_id", "stranger")
	if _, body := post(t, client, exchange, formType, form.Encode()); !strings.Contains(body, `"error":"invalid_client"`) {
		t.Errorf("refusal: got %s, want what the flags say", body)
	}

	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("exit: got %v, want 0\n%s", err, &stderr)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "ca.pem" {
		t.Errorf("left behind: got %v, %v, want ca.pem alone", left, err)
	}
	log := stderr.String()
	for _, line := range []string{
		`POST "/simulator/applications/` + described.ClientID + `/public-keys" 201`,
		`POST "/integrations/oauth2/api/v1/jwt/exchange" 200`,
		`POST "/integrations/oauth2/api/v1/jwt/exchange" 401 (unknown client)`,
	} {
		if !strings.Contains(log, line+"\n") {
			t.Errorf("the log lacks %s:\n%s", line, log)
		}
	}
	for _, secret := range []string{described.ClientSecret, jwt, answer.AccessToken} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds a secret:\n%s", log)
		}
	}
}

func waitForDescription(t *testing.T, file string, ended <-chan error) (d description) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		data, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(data, &d); err != nil {
				t.Fatalf("half a file: %v", err)
			}
			return d
		}
		select {
		case <-ticker.C:
		case err := <-ended:
			t.Fatalf("the simulator ended: %v", err)
		case <-time.After(time.Minute):
			t.Fatal("no simulator.json within a minute")
		}
	}
}

func trustOnly(t *testing.T, caFile string) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func post(t *testing.T, client *http.Client, target, contentType, body string) (int, string) {
	t.Helper()
	response, err := client.Post(target, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func sign(t *testing.T, key *rsa.PrivateKey, d description) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	payload := fmt.Sprintf(`{"iss":%q,"sub":%q,"exp":%d}`, d.CustomerID, d.UserID, time.Now().Add(3*time.Minute).Unix())
	input := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(signature)
}

func TestUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"-h"}, 0, "PUT    /simulator/behaviour"},
		{"no directory", nil, 2, "-dir is required"},
		{"unknown flag", []string{"-port", "1"}, 2, "not defined: -port"},
		{"argument", []string{"-dir", "a", "b"}, 2, `unexpected argument "b"`},
		{"no time to live", []string{"-dir", "a", "-session-ttl", "0s"}, 2, "-session-ttl must be above 0"},
		{"limit below 0", []string{"-dir", "a", "-max-calls", "-1"}, 2, "max calls -1 cannot be negative"},
		{"unknown form", []string{"-dir", "a", "-refusal-form", "xml"}, 2, `"xml" is none of`},
		{"directory is a file", []string{"-dir", file}, 1, "make directory"},
		{"not loopback", []string{"-dir", t.TempDir(), "-listen", "0.0.0.0:0"}, 1, "not a loopback address"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(context.Background(), test.args, &stderr); code != test.code || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("got %d, want %d and %q:\n%s", code, test.code, test.want, &stderr)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	var stderr bytes.Buffer
	if code := run(ctx, []string{"-dir", dir}, &stderr); code != 0 || !strings.Contains(stderr.String(), "listening on https://127.0.0.1:") {
		t.Errorf("got %d:\n%s", code, &stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "simulator.json")); !os.IsNotExist(err) {
		t.Errorf("simulator.json: got %v, want it gone", err)
	}
}
