// Package await waits, in tests, for what other goroutines bring about.
package await

import (
	"testing"
	"time"
)

// patience is far above what a busy machine takes for anything that is waited for.
const patience = 30 * time.Second

// That waits until a condition is met, and ends the test if it is not within 30 s: "not within 30s: the logout hangs".
// The condition is called about once a millisecond, by the calling goroutine.
func That(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !Met(condition) {
		t.Fatalf("not within %s: %s", patience, what)
	}
}

// Met waits like That and tells whether the condition was met, for a caller that may not end the test.
func Met(condition func() bool) bool {
	again, limit := time.NewTicker(time.Millisecond), time.NewTimer(patience)
	defer again.Stop()
	defer limit.Stop()
	for !condition() {
		select {
		case <-again.C:
		case <-limit.C:
			return false
		}
	}
	return true
}
