package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"vault-plugin-secrets-workfront/internal/metrics"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// mount is what a scrape asks.
type mount struct {
	hosts  []metrics.Host
	stored metrics.Stored
	err    error
	asked  int // for what is stored
}

func (m *mount) Hosts() []metrics.Host { return m.hosts }

func (m *mount) Stored(context.Context) (metrics.Stored, error) {
	m.asked++
	return m.stored, m.err
}

var start = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// busyMount is one of which everything is to be seen.
func busyMount() *mount {
	return &mount{
		hosts: []metrics.Host{
			{BaseURL: "https://acme.my.workfront.com", InFlight: 3, Waiting: 2, Limit: 8},
			{BaseURL: "https://other.my.workfront.com", Limit: 4, Unavailable: true},
		},
		stored: metrics.Stored{
			ActiveSessions: 5, PendingLogouts: 1,
			CertificateExpiries: map[string]time.Time{"default": start, "a@b.example": start.Add(time.Second)},
		},
	}
}

func newMetrics(now func() time.Time) *metrics.Metrics {
	return metrics.New(metrics.Options{Now: now, Version: "v1.2.3", Commit: "abc"})
}

func scrape(t *testing.T, m *metrics.Metrics, s metrics.State) string {
	t.Helper()
	text, err := m.Scrape(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestScrapeHoldsEverything(t *testing.T) {
	m := newMetrics(func() time.Time { return start })
	m.ExchangeDone(nil, 40*time.Millisecond)
	m.ExchangeDone(nil, 3*time.Second)
	m.LogoutDone(nil, time.Second)
	m.RefreshFailed()
	m.ExchangeFailed("reports", &workfront.RefusedError{Status: 401})
	m.SessionGone()
	text := scrape(t, m, busyMount())
	wantLines(
		t, text,
		`vault_workfront_build_info{commit="abc",version="v1.2.3"} 1`,
		`vault_workfront_exchanges_total{outcome="success"} 2`,
		`vault_workfront_exchange_duration_seconds_bucket{le="0.05"} 1`,
		`vault_workfront_exchange_duration_seconds_bucket{le="5"} 2`,
		`vault_workfront_exchange_duration_seconds_sum 3.04`,
		`vault_workfront_logouts_total{outcome="success"} 1`,
		`vault_workfront_logout_duration_seconds_count 1`,
		`vault_workfront_shared_session_replacement_failures_total 1`,
		`vault_workfront_role_exchange_failures_total{outcome="refused",role="reports"} 1`,
		`vault_workfront_sessions_gone_total 1`,
		`vault_workfront_calls_in_flight{host="https://acme.my.workfront.com"} 3`,
		`vault_workfront_calls_waiting{host="https://acme.my.workfront.com"} 2`,
		`vault_workfront_calls_limit{host="https://acme.my.workfront.com"} 8`,
		`vault_workfront_endpoint_unavailable{host="https://acme.my.workfront.com"} 0`,
		`vault_workfront_endpoint_unavailable{host="https://other.my.workfront.com"} 1`,
		`vault_workfront_sessions{state="active"} 5`,
		`vault_workfront_sessions{state="logout_pending"} 1`,
		fmt.Sprintf(`vault_workfront_key_certificate_expiry_timestamp_seconds{key="default"} %v`, float64(start.Unix())),
	)
	problems, err := promlint.New(bytes.NewReader([]byte(text))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// Prometheus sees no increase in a series that begins with 1, so that the first failure would be missed.
func TestCountersBeginAtZero(t *testing.T) {
	text := scrape(t, newMetrics(time.Now), &mount{})
	for _, name := range []string{"exchanges", "logouts"} {
		for _, outcome := range []string{"success", "refused", "unavailable", "unclear", "busy", "canceled", "error"} {
			wantLines(t, text, fmt.Sprintf(`vault_workfront_%s_total{outcome=%q} 0`, name, outcome))
		}
	}
	wantLines(t, text, "vault_workfront_shared_session_replacement_failures_total 0",
		`vault_workfront_sessions{state="logout_pending"} 0`)
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		outcome string
		err     error
	}{
		{"success", nil},
		{"refused", &workfront.RefusedError{Status: 401}},
		{"unavailable", &workfront.UnavailableError{Err: context.Canceled}},
		{"unclear", workfront.ErrUnclearLogout},
		{"unclear", workfront.ErrGoneTooSoon},
		{"busy", &workfront.BusyError{}},
		{"canceled", context.Canceled},
		{"error", errors.New("sign jwt")},
	}
	for _, tt := range tests {
		t.Run(tt.outcome, func(t *testing.T) {
			m := newMetrics(time.Now)
			err := tt.err
			if err != nil {
				err = fmt.Errorf("exchange jwt: %w", err)
			}
			m.ExchangeDone(err, time.Second)
			m.LogoutDone(err, time.Second)
			m.LogoutDone(err, time.Second)
			wantLines(
				t, scrape(t, m, &mount{}),
				fmt.Sprintf(`vault_workfront_exchanges_total{outcome=%q} 1`, tt.outcome),
				fmt.Sprintf(`vault_workfront_logouts_total{outcome=%q} 2`, tt.outcome),
			)
		})
	}
}

func TestWhatIsStoredIsCountedOnceAMinute(t *testing.T) {
	now := start
	m := newMetrics(func() time.Time { return now })
	s := busyMount()
	scrape(t, m, s)
	s.hosts, s.stored = nil, metrics.Stored{ActiveSessions: 7, CertificateExpiries: map[string]time.Time{"2028": start}}
	now = now.Add(time.Minute - time.Second)
	text := scrape(t, m, s)
	wantLines(t, text, `vault_workfront_sessions{state="active"} 5`)
	if strings.Contains(text, "https://") {
		t.Errorf("the hosts are still there:\n%s", text)
	}
	if s.asked != 1 {
		t.Errorf("storage was asked %d times within a minute, want once", s.asked)
	}
	now = now.Add(time.Second)
	text = scrape(t, m, s)
	wantLines(t, text, `vault_workfront_sessions{state="active"} 7`, `vault_workfront_sessions{state="logout_pending"} 0`)
	if strings.Contains(text, `key="default"`) || !strings.Contains(text, `key="2028"`) {
		t.Errorf("the keys are not those of now:\n%s", text)
	}
}

// A scrape that left out what it cannot count would silence the alerts.
func TestScrapeFailsWithStorage(t *testing.T) {
	m := newMetrics(time.Now)
	s := &mount{err: errors.New("storage is sealed")}
	if text, err := m.Scrape(t.Context(), s); !errors.Is(err, s.err) {
		t.Errorf("got %q, %v, want the fault of storage", text, err)
	}
	s.err = nil
	if scrape(t, m, s); s.asked != 2 {
		t.Errorf("storage was asked %d times, want again after the fault", s.asked)
	}
}

// heldMount answers when it is told to.
type heldMount struct {
	mount
	entered, proceed chan struct{}
}

func (m *heldMount) Stored(context.Context) (metrics.Stored, error) {
	m.entered <- struct{}{}
	<-m.proceed
	return m.mount.Stored(context.Background())
}

func TestScrapesAtATimeCountOnce(t *testing.T) {
	m := newMetrics(func() time.Time { return start })
	s := &heldMount{entered: make(chan struct{}, 10), proceed: make(chan struct{})}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			if _, err := m.Scrape(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	<-s.entered
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := m.Scrape(left, s); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has left waits for the scrape of another: %v", err)
	}
	m.ExchangeDone(nil, time.Second) // no reader waits for a scrape
	close(s.proceed)
	done.Wait()
	if s.asked != 1 {
		t.Errorf("storage was asked %d times, want once", s.asked)
	}
}

// roleSeries are the lines of the failures by role.
func roleSeries(text string) string {
	var found strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "vault_workfront_role_exchange_failures_total") {
			found.WriteString(line)
		}
	}
	return found.String()
}

func TestFailuresByRole(t *testing.T) {
	const prefix = "vault_workfront_role_exchange_failures_total"
	m := newMetrics(time.Now)
	list := func(names ...string) func() ([]string, error) {
		return func() ([]string, error) { return names, nil }
	}
	want := func(want ...string) {
		t.Helper()
		if got := roleSeries(scrape(t, m, &mount{})); got != strings.Join(want, "") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, ""))
		}
	}
	want()
	m.ExchangeFailed("", &workfront.BusyError{})
	m.ExchangeFailed("a", &workfront.BusyError{})
	m.ExchangeFailed("a", &workfront.RefusedError{Status: 401})
	m.ExchangeFailed("b", &workfront.RefusedError{Status: 401})
	m.ExchangeFailed("b", &workfront.RefusedError{Status: 401})
	none, b := prefix+`{outcome="busy",role=""} 1`+"\n", prefix+`{outcome="refused",role="b"} 2`+"\n"
	want(none, prefix+`{outcome="busy",role="a"} 1`+"\n", prefix+`{outcome="refused",role="a"} 1`+"\n", b)
	m.ForgetRole("a")
	m.ForgetRole("never failed")
	m.ForgetRole("") // is no role
	want(none, b)

	// A read of a role that was under way when it was deleted.
	m.ExchangeFailed("a", &workfront.BusyError{})
	broken := errors.New("storage is broken")
	if err := m.KeepRoles(func() ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the fault of storage", err)
	}
	for _, existing := range [][]string{{"c", "b"}, {"never asked for"}} {
		if err := m.KeepRoles(list(existing...)); err != nil {
			t.Fatal(err)
		}
		want(none, b) // the second time nothing has happened, so storage is not asked
	}
	m.RolesChanged()
	if err := m.KeepRoles(list()); err != nil {
		t.Fatal(err)
	}
	want(none)
}

func BenchmarkExchangeDone(b *testing.B) {
	m := newMetrics(time.Now)
	b.ReportAllocs()
	for b.Loop() {
		m.ExchangeDone(nil, time.Second)
	}
}
