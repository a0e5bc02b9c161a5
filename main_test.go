package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	defer log.SetOutput(log.Writer())
	tests := []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"-version", 0, "vault-plugin-secrets-workfront " + version + " (commit " + commit + ", built " + buildDate + ")\n", ""},
		{"--version", 0, version, ""},
		{"-h", 0, "vault plugin register -sha256=", ""},
		{"-help", 0, "-version", ""},
		{"-ca-cert=ca.pem -version", 0, version, ""}, // Vault's own flags
		{"-nonsense", 2, "", "-nonsense"},
		{"-version=perhaps", 2, "", "correct args"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(strings.Fields(tt.args), &stdout, &stderr); code != tt.code {
				t.Errorf("exit code: got %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || (stdout.Len() > 0) != (tt.stdout != "") {
				t.Errorf("stdout: got %q, want %q", stdout.String(), tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || (stderr.Len() > 0) != (tt.stderr != "") {
				t.Errorf("stderr: got %q, want %q", stderr.String(), tt.stderr)
			}
			for _, internal := range []string{"client-key", "tls-skip-verify"} {
				if strings.Contains(stdout.String()+stderr.String(), internal) {
					t.Errorf("it lists Vault's internal flag %s", internal)
				}
			}
		})
	}
}

// Vault's log shows at level error what comes on stderr in hclog's JSON form, and any other line at level debug.
func TestUnknownFlagIsLogged(t *testing.T) {
	defer log.SetOutput(log.Writer())
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-nonsense"}, &stdout, &stderr); code == 0 {
		t.Error("exit code: got 0, want a failure")
	}
	var line map[string]string
	if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
		t.Fatalf("stderr is not one JSON line: %v: %q", err, stderr.String())
	}
	if line["@level"] != "error" || !strings.HasPrefix(line["@message"], "plugin not started; correct args") ||
		!strings.Contains(line["error"], "-nonsense") {
		t.Errorf("got %v, want an error that names the flag", line)
	}
}

// What a server sends beyond its answer may be an echo of the client secret, and net/http writes it to Go's own log.
func TestGoLogIsSwitchedOff(t *testing.T) {
	before := log.Writer()
	defer log.SetOutput(before)
	log.SetOutput(&bytes.Buffer{})
	run([]string{"-version"}, io.Discard, io.Discard)
	if log.Writer() != io.Discard {
		t.Error("Go's standard log is written somewhere")
	}
}
