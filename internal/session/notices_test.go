package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// linesWith returns the lines of the log at a level that hold a text.
func linesWith(log *logBuffer, level, text string) []string {
	var found []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "["+level+"]") && strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// wantOneLine checks that there is one such line, and what it says.
func wantOneLine(t *testing.T, log *logBuffer, text string, parts ...string) {
	t.Helper()
	lines := linesWith(log, "WARN", text)
	if len(lines) != 1 {
		t.Errorf("%d warnings of %q, want 1:\n%s", len(lines), text, log)
		return
	}
	for _, part := range parts {
		if !strings.Contains(lines[0], part) {
			t.Errorf("got %q, want it to hold %q", lines[0], part)
		}
	}
}

// reset forgets what was logged.
func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

func TestDisbelievedLifetimesAreOneLineAMinute(t *testing.T) {
	const text = "session lifetimes of more than 32 days"
	f := newFixture(t)
	log := f.logged()
	milliseconds := "1800000000"
	f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = &milliseconds })
	for i := range 150 {
		f.source.Role = fmt.Sprintf("r%d", i%3)
		f.issue()
	}
	wantOneLine(t, log, text, "sessions=1", `roles="r0: 1"`)
	log.reset()
	f.clock.Advance(time.Minute)
	f.maintain()
	wantOneLine(t, log, text, "sessions=149", `roles="r1: 50, r2: 50, r0: 49"`)
	log.reset()
	f.clock.Advance(time.Minute)
	f.maintain()
	if lines := linesWith(log, "WARN", text); len(lines) > 0 {
		t.Errorf("nothing more happened, but the log has %q", lines)
	}
}

func TestFailedReadsAreOneLineAMinute(t *testing.T) {
	const text = "failed to issue sessions"
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %t", shared), func(t *testing.T) {
			f := newFixture(t)
			log := f.logged()
			f.source.Shared, f.source.KeyFingerprint = shared, "made from this"
			f.source.ClientSecret = "wrong"
			fail := func(role string, times int) {
				t.Helper()
				f.source.Role = role
				for range times {
					if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
						t.Fatal("a session was started with a wrong client secret")
					}
				}
			}
			fail("", 1)
			wantOneLine(t, log, text, "reads=1", `roles="(none): 1"`, "error=", "workfront refused")
			log.reset()
			for i := range 7 {
				fail(fmt.Sprintf("r%d", i), 10-i)
			}
			f.clock.Advance(time.Minute)
			f.maintain()
			wantOneLine(t, log, text, "reads=49", `roles="r0: 10, r1: 9, r2: 8, r3: 7, r4: 6, and 2 more"`, "workfront refused")
		})
	}
}

// What is no trouble of the mount is not a warning: readers that leave, and requests that Vault repeats elsewhere.
func TestReadsThatDidNotFailAreNotWarnedOf(t *testing.T) {
	f := newFixture(t)
	log := f.logged()
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.broker.Issue(left, f.storage, f.source); err == nil {
		t.Error("issued to a reader that had left")
	}
	f.storage.Script(storagetest.ReadOnly)
	if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
		t.Error("issued on a node that cannot write")
	}
	f.storage.Script()
	f.broker.Close(t.Context(), f.storage, false)
	if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
		t.Error("issued while being unloaded")
	}
	if lines := linesWith(log, "WARN", "failed to issue"); len(lines) > 0 {
		t.Errorf("got %q, want no warning", lines)
	}
}

func TestObserverIsToldOfFailedExchangesByRole(t *testing.T) {
	f, o := observed(t)
	f.source.Role = "good"
	f.issue()
	f.source.ClientSecret = "wrong"
	for role, times := range map[string]int{"": 1, "r": 2} {
		f.source.Role = role
		for range times {
			if _, err := f.broker.Issue(t.Context(), f.storage, f.source); err == nil {
				t.Fatal("a session was started with a wrong client secret")
			}
		}
	}
	f.source.Role = "tried"
	if _, err := f.broker.Try(t.Context(), f.source); err == nil { // no reader asked for it
		t.Fatal("a session was started with a wrong client secret")
	}
	if len(o.failed) != 2 || len(o.failed[""]) != 1 || len(o.failed["r"]) != 2 {
		t.Errorf("failed exchanges: got %v, want 1 without a role and 2 of r", o.failed)
	}
}
