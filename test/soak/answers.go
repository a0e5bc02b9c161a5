package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// tally counts what came of each operation, and keeps what should not have come.
type tally struct {
	mu       sync.Mutex
	counts   map[string]map[string]int // by operation and outcome
	faults   map[string]int
	failures int
	texts    []string // of the first failures
}

// maxTexts is how many failures are printed.
const maxTexts = 25

func (t *tally) count(operation, outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]map[string]int{}
	}
	if t.counts[operation] == nil {
		t.counts[operation] = map[string]int{}
	}
	t.counts[operation][outcome]++
}

func (t *tally) counted(operation, outcome string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[operation][outcome]
}

func (t *tally) fault(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.faults == nil {
		t.faults = map[string]int{}
	}
	t.faults[kind]++
}

// fail keeps a failure. It must not hold a secret: see secrets.clean.
func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
	if len(t.texts) < maxTexts {
		t.texts = append(t.texts, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (t *tally) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for operation, outcomes := range t.counts {
		if operation == byItself {
			continue
		}
		for _, c := range outcomes {
			n += c
		}
	}
	return n
}

// failure is an error of Vault's that an operation may bring, by its status and by what it says.
type failure struct {
	status  int
	text    string
	outcome string
}

// judge counts what came of an operation, and tells whether it succeeded. An error has to be one of those expected, or
// excused by what happened since the operation began.
func (k *soak) judge(operation string, began time.Time, err error, expected ...failure) bool {
	if err == nil {
		k.tally.count(operation, "ok")
		return true
	}
	outcome := k.excuse(began, err, expected)
	if outcome == "" {
		outcome = "UNEXPECTED"
		k.tally.fail("%s, after %s: %s", operation, time.Since(began).Round(time.Millisecond), k.secrets.clean(err.Error()))
	}
	k.tally.count(operation, outcome)
	return false
}

func (k *soak) excuse(began time.Time, err error, expected []failure) string {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		if errors.Is(err, context.Canceled) {
			return "interrupted"
		}
		return ""
	}
	text := strings.Join(answer.Errors, "\n")
	for _, f := range expected {
		if answer.StatusCode == f.status && strings.Contains(text, f.text) {
			return f.outcome
		}
	}
	happened := func(kind string) bool { return k.past.happened(kind, began, time.Now()) }
	switch {
	case happened(restarting):
		return restarting
	case answer.StatusCode == http.StatusBadGateway && happened(faulty):
		return "502"
	case answer.StatusCode == http.StatusServiceUnavailable && noTurn(text) && happened(faulty):
		return "waited in vain"
	case answer.StatusCode == http.StatusBadRequest && strings.Contains(text, "workfront refused the request") && happened(faulty):
		return "refused"
	case answer.StatusCode == http.StatusBadRequest && strings.Contains(text, "is not configured yet") && happened(unconfigured):
		return unconfigured
	case answer.StatusCode == http.StatusBadGateway && happened(sameSession) && aboutToEnd(text):
		return sameSession
	}
	return ""
}

// noTurn reports whether a call was not sent, because others were under way or Workfront asked for a pause.
func noTurn(text string) bool {
	return strings.Contains(text, "calls are under way") || strings.Contains(text, "limits the number of calls (HTTP status 429) and asks for none")
}

// aboutToEnd tells whether a read failed because Workfront returned a session that is about to expire, or has expired.
func aboutToEnd(text string) bool {
	for _, said := range []string{
		"too soon to be issued", "it kept returning a session that was being logged out", "expired before it could be issued",
	} {
		if strings.Contains(text, said) {
			return true
		}
	}
	return false
}
