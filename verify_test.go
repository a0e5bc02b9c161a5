package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// warnings returns the warnings in a log that hold a text, and empties the log.
func warnings(log *bytes.Buffer, text string) []string {
	var found []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "[WARN]") && strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	log.Reset()
	return found
}

// verify_connection tells whether a guessed client secret is right, so guesses must be seen.
func TestFailedVerificationsAreLogged(t *testing.T) {
	m, w := ready(t, nil)
	var log bytes.Buffer
	m.logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
	m.restart()
	rollback := func() {
		t.Helper()
		m.must(logical.RollbackOperation, "", nil)
	}
	guess := func(i int) {
		t.Helper()
		secret := fmt.Sprintf("guess-%d-of-many", i)
		m.wantRefused(logical.PatchOperation, "config",
			map[string]any{settings.FieldClientSecret: secret, fieldVerify: true}, "not stored")
		if strings.Contains(log.String(), secret) {
			t.Error("the log holds a guessed secret")
		}
	}
	wantOne := func(times int) {
		t.Helper()
		lines := warnings(&log, "verify_connection failed")
		if len(lines) != 1 || !strings.Contains(lines[0], fmt.Sprintf("times=%d\n", times)) {
			t.Errorf("got %q, want one line with times=%d", lines, times)
		}
	}
	guess(0)
	wantOne(1)
	for i := range 40 {
		guess(i)
	}
	rollback()
	if lines := warnings(&log, "verify_connection failed"); len(lines) > 0 {
		t.Errorf("within a minute: got %q, want no line", lines)
	}
	m.clock.Advance(time.Minute)
	rollback()
	wantOne(40)

	// A verification whose session cannot be logged out has failed, too.
	m.clock.Advance(time.Minute)
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	m.wantStatus(502, logical.PatchOperation, "config", map[string]any{fieldVerify: true}, "not stored")
	wantOne(1)
	w.ClearFaults()
	m.write("config", map[string]any{fieldVerify: true})
	m.clock.Advance(time.Minute)
	rollback()
	if lines := warnings(&log, "verify_connection failed"); len(lines) > 0 {
		t.Errorf("nothing more failed, but the log has %q", lines)
	}
}
