package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestGrowthIsSeen: whatever grows by more than its slack makes the run fail, and what stays within it does not.
func TestGrowthIsSeen(t *testing.T) {
	t.Parallel()
	usual := figures{goroutines: 22, files: 17, heap: 3 << 20, resident: 38 << 20}
	for name, c := range map[string]struct {
		grow func(r *round)
		ok   bool
	}{
		"nothing":            {func(*round) {}, true},
		"a little memory":    {func(r *round) { r.heap += 1 << 20; r.resident += 8 << 20 }, true},
		"goroutines":         {func(r *round) { r.goroutines++ }, false},
		"files":              {func(r *round) { r.files++ }, false},
		"connections":        {func(r *round) { r.connections++ }, false},
		"entries in storage": {func(r *round) { r.entries++ }, false},
		"heap":               {func(r *round) { r.heap += 2 << 20 }, false},
		"resident memory":    {func(r *round) { r.resident += 16 << 20 }, false},
		"another process":    {func(r *round) { r.pid++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &soak{out: io.Discard, rounds: make([]round, 4)}
			for i := range k.rounds {
				k.rounds[i] = round{pid: 7, figures: usual}
			}
			c.grow(&k.rounds[3])
			k.compare()
			if got := k.tally.failures == 0; got != c.ok {
				t.Errorf("passed: %t, want %t: %q", got, c.ok, k.tally.texts)
			}
		})
	}
}

// TestAnswersAreJudged: an error needs something that explains it, at the time.
func TestAnswersAreJudged(t *testing.T) {
	t.Parallel()
	answer := func(status int, text string) error {
		return &api.ResponseError{StatusCode: status, Errors: []string{text}}
	}
	const pause = "Workfront limits the number of calls (HTTP status 429) and asks for none in the next 1s; try again then"
	noRole := failure{http.StatusBadRequest, "does not exist", "no role"}
	for name, c := range map[string]struct {
		happened string // before and during the operation
		over     bool   // it was over, and not felt any more, when the operation began
		err      error
		want     string // outcome; "" for unexpected
	}{
		"502":                          {"", false, answer(502, "workfront is not available"), ""},
		"502 in a fault":               {faulty, false, answer(502, "workfront is not available"), "502"},
		"502 after a fault":            {faulty, true, answer(502, "workfront is not available"), ""},
		"500 in a fault":               {faulty, false, answer(500, "internal error"), ""},
		"400 in a fault":               {faulty, false, answer(400, "bad request"), ""},
		"refused in a fault":           {faulty, false, answer(400, "workfront refused the request with HTTP status 403"), "refused"},
		"refused":                      {"", false, answer(400, "workfront refused the request with HTTP status 403"), ""},
		"no turn in a fault":           {faulty, false, answer(503, "8 calls are under way, max_connections is 8"), "waited in vain"},
		"no turn":                      {"", false, answer(503, "8 calls are under way, max_connections is 8"), ""},
		"a pause in a fault":           {faulty, false, answer(503, pause), "waited in vain"},
		"a pause":                      {"", false, answer(503, pause), ""},
		"503 of another kind":          {faulty, false, answer(503, "the plugin is shutting down"), ""},
		"500 in a restart":             {restarting, false, answer(500, "plugin is shut down"), restarting},
		"500 after a restart":          {restarting, true, answer(500, "plugin is shut down"), ""},
		"not configured":               {"", false, answer(400, "this mount is not configured yet"), ""},
		"not configured, as it is":     {unconfigured, false, answer(400, "this mount is not configured yet"), unconfigured},
		"an expected answer":           {"", false, answer(400, `the role "a" does not exist`), "no role"},
		"its text with another status": {"", false, answer(502, `the role "a" does not exist`), ""},
		"502 for the same session":     {sameSession, false, answer(502, "workfront is not available"), ""},
		"the same session, about to end": {
			sameSession, false, answer(502, "it returned a session that expires in 1s, too soon to be issued"), sameSession,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &soak{}
			if c.happened != "" {
				end := k.past.begin(c.happened, 0)
				if c.over {
					end()
				}
			}
			began := time.Now()
			if c.over {
				began = began.Add(time.Nanosecond)
			}
			if got := k.excuse(began, c.err, []failure{noRole}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestSecretsAreFound plants each kind of secret, and wants none of them printed.
func TestSecretsAreFound(t *testing.T) {
	t.Parallel()
	var s secrets
	token, other := workfronttest.NewID(), workfronttest.NewID()
	s.add("an access token", token)
	for name, text := range map[string]string{
		"access token":  "lease of " + token + " was revoked",
		"JWT":           "jwt_token=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln",
		"private key":   "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSk",
		"refresh token": fmt.Sprintf(`{"refresh_token": %q}`, other),
	} {
		if s.find([]byte(text)) == "" {
			t.Errorf("%s: not found", name)
		}
		if cleaned := s.clean(text); strings.Contains(cleaned, token) || cleaned == text {
			t.Errorf("%s: cleaned to %q", name, cleaned)
		}
	}
	if kind := s.find([]byte("session_id=" + other)); kind != "" {
		t.Errorf("a session's ID: found %s", kind)
	}
}

// TestChoicesDependOnTheSeed: the same seed makes each worker choose the same, whatever comes of it; another one does not.
func TestChoicesDependOnTheSeed(t *testing.T) {
	t.Parallel()
	choices := func(seed uint64, worker int) (names string) {
		w := (&soak{options: options{seed: seed, workers: 2}}).makeWorkers()[worker]
		for range 100 {
			s := w.choose(operations)
			names += fmt.Sprintln(s.operation.name, s.role, s.share, s.which, s.pause)
		}
		return names
	}
	first := choices(1, 0)
	if again := choices(1, 0); again != first {
		t.Error("the same seed made the same worker choose differently")
	}
	if first == choices(2, 0) || first == choices(1, 1) {
		t.Error("another seed, or another worker, made the same choices")
	}
}

// TestSlopeIsSeen: a heap that grows with each session makes the run fail, however much it varies besides, and one that
// varies alone does not.
func TestSlopeIsSeen(t *testing.T) {
	t.Parallel()
	const step, base = 50, 5 << 20 // sessions from one sample to the next, bytes
	for name, c := range map[string]struct {
		samples int
		heap    func(i int, random *rand.Rand) float64 // beyond base
		want    string                                 // "" for passed
	}{
		"flat":           {120, func(int, *rand.Rand) float64 { return 0 }, ""},
		"unsteady":       {120, func(_ int, r *rand.Rand) float64 { return r.NormFloat64() * 160_000 }, ""},
		"comes and goes": {120, func(i int, _ *rand.Rand) float64 { return float64(i%10) * 20_000 }, ""},
		"grows while it settles": {120, func(i int, r *rand.Rand) float64 {
			return min(float64(i), 30)*100_000 + r.NormFloat64()*20_000
		}, ""},
		"falls":                   {120, func(i int, _ *rand.Rand) float64 { return float64(-i * step * 100) }, ""},
		"keeps 100 bytes of each": {120, func(i int, r *rand.Rand) float64 { return float64(i*step)*100 + r.NormFloat64()*100_000 }, "are kept"},
		"keeps 1 KiB of each":     {120, func(i int, r *rand.Rand) float64 { return float64(i*step)*1024 + r.NormFloat64()*1_000_000 }, "are kept"},
		"varies by megabytes":     {120, func(_ int, r *rand.Rand) float64 { return r.NormFloat64() * 3_000_000 }, "shows nothing"},
		"few samples":             {20, func(i int, _ *rand.Rand) float64 { return float64(i) }, "shows nothing"},
		"no samples":              {0, nil, "shows nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, random := &soak{out: io.Discard, dir: t.TempDir()}, rand.New(rand.NewPCG(1, 2))
			for i := range c.samples {
				k.samples = append(k.samples, sample{float64(i * step), base + c.heap(i, random)})
			}
			k.judgeSlope()
			got := strings.Join(k.tally.texts, "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestTextsOfTheLog: what is counted in the log is what the plugin writes and the page for operators lists. A text that has
// changed would be counted as never written.
func TestTextsOfTheLog(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../internal/session/end.go", "../../docs/operations.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), droppedText) {
			t.Errorf("%s does not hold the text %q", file, droppedText)
		}
	}
}
