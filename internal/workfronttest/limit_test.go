package workfronttest

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
)

// occupy has n exchanges hang, and returns a function that lets them go on and waits for their answers.
func (f *fixture) occupy(n int) (release func()) {
	f.t.Helper()
	remove := f.Inject(Fault{Endpoint: EndpointExchange, Hang: HangBeforeAnswer, Times: n})
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			if got, err := f.tryExchange(); err != nil || got.status != http.StatusOK {
				f.t.Errorf("an exchange that had room: got %d, %v", got.status, err)
			}
		})
	}
	await.That(f.t, "the calls are under way", func() bool { return f.Stats().CallsUnderWay == n })
	return func() { remove(); clients.Wait() }
}

// One call more than the customer may have at a time gets a 429, whatever it calls; the next one has room again.
func TestMaxCalls(t *testing.T) {
	const limit = 3
	tests := []struct {
		name, method, path string
	}{
		{"exchange", "POST", exchangePath},
		{"logout", "GET", logoutPath},
		{"user", "GET", searchPath},
		{"unknown resource", "GET", "/attask/api/v22.0/proj/search"},
	}
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{MaxCalls: limit})
	token := f.token()
	release := f.occupy(limit)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := f.call(test.method, test.path, token)
			want := `{"error":{"message":"Too many concurrent API requests for the given customer."}}`
			if got.status != 429 || got.body != want || got.header.Values("Retry-After") != nil {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
			if reason := f.lastRefusal(); reason != "too many calls at a time" {
				t.Errorf("reason: got %q", reason)
			}
		})
	}
	if got := f.call("GET", "/", ""); got.status != 404 {
		t.Errorf("what is no call of the API: got %d, want 404", got.status)
	}
	stats := f.Stats()
	if stats.TooManyCalls != len(tests) || stats.PeakCalls != limit+1 || stats.CallsUnderWay != limit || stats.Refused != 0 {
		t.Errorf("got %+v", stats)
	}
	release()
	if got := f.call("GET", searchPath, token); got.status != 200 {
		t.Errorf("after it: got %d %s", got.status, got.body)
	}
	f.wantStats(Stats{Exchanges: limit + 2, Started: limit + 1, Alive: limit + 1, TooManyCalls: len(tests)})
}

// The limit is the one that was documented.
func TestDefaultLimit(t *testing.T) {
	f := newFixture(t, Options{})
	defer f.occupy(10)()
	if got := f.call("GET", searchPath, NewID()); got.status != 429 {
		t.Errorf("the eleventh call: got %d, want 429", got.status)
	}
}

func TestRetryAfter(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{MaxCalls: 1, RetryAfter: 7 * time.Second})
	defer f.occupy(1)()
	if got := f.call("GET", searchPath, NewID()); got.status != 429 || got.header.Get("Retry-After") != "7" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}

// A call that is refused for want of room reaches no fault, and wears none out.
func TestFaultsNeedRoom(t *testing.T) {
	f := newFixture(t, Options{})
	f.SetBehaviour(Behaviour{MaxCalls: 1})
	release := f.occupy(1)
	f.Inject(Fault{Endpoint: EndpointAPI, Status: 503, Times: 1})
	if got := f.call("GET", searchPath, NewID()); got.status != 429 {
		t.Errorf("without room: got %d, want 429", got.status)
	}
	release()
	if got := f.call("GET", searchPath, NewID()); got.status != 503 {
		t.Errorf("with room: got %d, want 503", got.status)
	}
}

// A client that has as many calls under way as it may, and sends the next one as soon as an answer or a reset came,
// never gets a 429.
func TestDoneBeforeTheClientCanSeeIt(t *testing.T) {
	const clients, rounds = 6, 10
	tests := map[string]Fault{
		"answer":             {Endpoint: EndpointLogout},
		"replaced answer":    {Endpoint: EndpointExchange, Status: 503},
		"no body":            {Endpoint: EndpointExchange, Status: 204},
		"reset at once":      {Endpoint: EndpointExchange, Reset: ResetBeforeHandling},
		"reset after it":     {Endpoint: EndpointExchange, Reset: ResetAfterHandling},
		"reset in an answer": {Endpoint: EndpointExchange, Reset: ResetMidAnswer},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.SetBehaviour(Behaviour{MaxCalls: clients})
			f.Inject(fault)
			form := f.form(f.jwt(nil))
			var group sync.WaitGroup
			for range clients {
				group.Go(func() {
					for range rounds {
						_, _ = f.do(f.exchangeRequest(t.Context(), form))
					}
				})
			}
			group.Wait()
			if stats := f.Stats(); stats.TooManyCalls != 0 || stats.PeakCalls > clients || stats.CallsUnderWay != 0 {
				t.Errorf("got %+v", stats)
			}
		})
	}
}

// Whatever becomes of a call, it does not count for good.
func TestCallsEnd(t *testing.T) {
	f := newFixture(t, Options{})
	f.Inject(Fault{Endpoint: EndpointExchange, Hang: HangMidAnswer, Times: 1})
	request := f.exchangeRequest(t.Context(), f.form(f.jwt(nil)))
	response, err := f.HTTPClient().Do(request)
	fatal(t, err)
	if got := f.Stats().CallsUnderWay; got != 1 {
		t.Errorf("before the client leaves: got %d calls under way, want 1", got)
	}
	_ = response.Body.Close()
	await.That(t, "no call is under way", func() bool { return f.Stats().CallsUnderWay == 0 })

	got, err := f.do(f.exchangeRequest(t.Context(), f.form(strings.Repeat("a", maxBody))))
	if err != nil || got.status != 413 || f.Stats().CallsUnderWay != 0 {
		t.Errorf("too large: got %d, %v, %+v", got.status, err, f.Stats())
	}
}
