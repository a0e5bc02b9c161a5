package workfront_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

const goneTooSoon outcome = "gone too soon"

func logoutOutcome(err error) outcome {
	if errors.Is(err, workfront.ErrGoneTooSoon) {
		return goneTooSoon
	}
	return outcomeOf(err)
}

// That Workfront does not know a session which it has only just returned is not believed at once.
func TestLogoutOfAYoungSession(t *testing.T) {
	t.Parallel()
	type a = routedAnswer
	const (
		failed = `{"data":{"success":false}}`
		dead   = `{"error":{"class":"com.attask.common.AuthenticationException"}}`
	)
	known := a{200, loggedOut}
	tests := []struct {
		name     string
		old      bool
		versions string // separated by commas
		timeout  time.Duration
		answers  []a
		want     outcome
		seen     string // method, version and second of each request
		on2xx    int
	}{
		{"known", false, "v22.0", 5 * time.Second, []a{known}, success, "GET v22.0 0", 1},
		{"old and gone", true, "v22.0", 5 * time.Second, []a{{401, unknown}}, success, "GET v22.0 0", 0},
		{"gone, then known", false, "v22.0", 5 * time.Second, []a{{401, unknown}, known}, success, "GET v22.0 0, GET v22.0 2", 1},
		{"gone twice", false, "v22.0", 5 * time.Second, []a{{401, unknown}, {401, unknown}}, goneTooSoon, "GET v22.0 0, GET v22.0 2", 0},
		{"gone by class on 200", false, "v22.0", 5 * time.Second, []a{{200, dead}, {200, dead}}, goneTooSoon, "GET v22.0 0, GET v22.0 2", 0},
		{"gone, without a deadline", false, "v22.0", 0, []a{{401, unknown}, {401, unknown}}, goneTooSoon, "GET v22.0 0, GET v22.0 2", 0},
		{"gone, without time", false, "v22.0", 2 * time.Second, []a{{401, unknown}}, goneTooSoon, "GET v22.0 0", 0},
		{"gone, then unavailable", false, "v22.0", 5 * time.Second, []a{{401, unknown}, {503, ""}}, transient, "GET v22.0 0, GET v22.0 2", 0},
		{"gone, then of a gateway", false, "v22.0", 5 * time.Second, []a{{401, unknown}, {401, gatewayPage}}, permanent, "GET v22.0 0, GET v22.0 2", 0},
		{"unclear, then gone", false, "v22.0", 5 * time.Second, []a{{200, failed}, {401, unknown}}, success, "GET v22.0 0, POST v22.0 0", 1},
		{
			"gone, then unclear, then gone", false, "v22.0", 5 * time.Second,
			[]a{{401, unknown}, {204, ""}, {401, unknown}},
			success,
			"GET v22.0 0, GET v22.0 2, POST v22.0 2", 1,
		},
		{
			"retired, then gone twice", false, "v16.0,v22.0", 5 * time.Second,
			[]a{{410, ""}, {401, unknown}, {401, unknown}},
			goneTooSoon,
			"GET v16.0 0, GET v22.0 0, GET v22.0 2", 0,
		},
		{
			"gone, then not allowed, then gone", false, "v22.0", 5 * time.Second,
			[]a{{401, unknown}, {405, ""}, {401, unknown}},
			goneTooSoon,
			"GET v22.0 0, GET v22.0 2, POST v22.0 2", 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var seen []string
				c := newClient(t, workfront.Endpoint{BaseURL: gatewayURL}, nil)
				c.Over(script(func(r *http.Request) *http.Response {
					version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/attask/api/"), "/")
					seen = append(seen, fmt.Sprintf("%s %s %.0f", r.Method, version, time.Since(begun).Seconds()))
					if len(seen) > len(tt.answers) {
						return scripted(http.StatusTeapot, "", "")
					}
					answer := tt.answers[len(seen)-1]
					return scripted(answer.status, "application/json", answer.body)
				}))
				ctx := t.Context()
				if tt.timeout > 0 {
					limited, cancel := context.WithTimeout(ctx, tt.timeout)
					defer cancel()
					ctx = limited
				}
				on2xx := 0
				err := c.Logout(ctx, workfront.LogoutRequest{
					Token: sessionToken, APIVersions: strings.Split(tt.versions, ","), Young: !tt.old, On2xx: func() { on2xx++ },
				})
				if got := logoutOutcome(err); got != tt.want {
					t.Errorf("got %s (%v), want %s", got, err, tt.want)
				}
				if got := strings.Join(seen, ", "); got != tt.seen {
					t.Errorf("got the requests %q, want %q", got, tt.seen)
				}
				if on2xx != tt.on2xx {
					t.Errorf("told of %d answers of status 2xx, want %d", on2xx, tt.on2xx)
				}
				if tt.want == goneTooSoon && !workfront.AnsweredByWorkfront(err) {
					t.Error("counts as not answered by Workfront, want answered")
				}
			})
		})
	}
}

// What waits to ask once more has no slot, and can be given up.
func TestYoungSessionHoldsNoSlot(t *testing.T) {
	t.Parallel()
	young := workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}, Young: true}
	logOut := func(ctx context.Context, c *workfront.Client) chan error {
		done := make(chan error, 1)
		go func() { done <- c.Logout(ctx, young) }()
		return done
	}
	calls := func(t *testing.T, g *gateway, inFlight int) {
		t.Helper()
		synctest.Wait()
		if got := g.Calls(); len(got) != 1 || got[0].InFlight != inFlight || got[0].Waiting != 0 {
			t.Errorf("got %+v, want %d in flight", got, inFlight)
		}
	}
	t.Run("no slot", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGateway(t)
			done := logOut(t.Context(), g.client(t, ""))
			g.answerWith(t, http.StatusUnauthorized, unknown)
			calls(t, g, 0)
			time.Sleep(2 * time.Second)
			calls(t, g, 1)
			g.answerWith(t, http.StatusOK, loggedOut)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGateway(t)
			ctx, cancel := context.WithCancel(t.Context())
			done := logOut(ctx, g.client(t, ""))
			g.answerWith(t, http.StatusUnauthorized, unknown)
			cancel()
			err := <-done
			checkOutcome(t, err, canceled)
			if workfront.AnsweredByWorkfront(err) {
				t.Error("counts as answered by Workfront, want not")
			}
		})
	})
	t.Run("no turn", func(t *testing.T) { // a pause after a 429 outlasts the time
		synctest.Test(t, func(t *testing.T) {
			g := newGateway(t)
			c := g.client(t, "")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			done := logOut(ctx, c)
			g.answerWith(t, http.StatusUnauthorized, unknown)
			begin(1, exchangeOnce(t.Context(), c))
			g.answer(t, "exchange", http.StatusTooManyRequests, "Retry-After", "30")
			if got := logoutOutcome(<-done); got != goneTooSoon {
				t.Errorf("got %s, want %s", got, goneTooSoon)
			}
			if got, want := g.arrived, []string{"logout", "exchange"}; !slices.Equal(got, want) {
				t.Errorf("got the requests %q, want %q", got, want)
			}
			g.finish(t)
		})
	})
}

// answerWith answers the oldest request.
func (g *gateway) answerWith(t *testing.T, status int, body string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	if len(g.held) == 0 {
		g.mu.Unlock()
		t.Fatal("nothing is under way")
	}
	h := g.held[0]
	g.mu.Unlock()
	h.answer <- scripted(status, "application/json", body) //nolint:bodyclose // it is a string
	synctest.Wait()
}
