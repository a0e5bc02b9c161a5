// Package metrics counts what one mount does, and writes it in Prometheus' text format. Names follow Prometheus' own
// guide: https://prometheus.io/docs/practices/naming/.
//
// No label is ever a token, a secret or the ID of a session.
package metrics

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// namespace begins the name of each metric: they stand beside Vault's own, and those of what else calls Workfront.
const namespace = "vault_workfront"

// countEvery is how often what is stored is counted, at most: a list of all sessions can be a long one.
const countEvery = time.Minute

// Options is what Metrics is made of. Now is required.
type Options struct {
	Now             func() time.Time
	Version, Commit string // of the plugin
}

// State is where a scrape gets what nobody counts meanwhile. Its methods are called by one scrape at a time.
type State interface {
	// Hosts returns how it stands with each Workfront host now.
	Hosts() []Host
	// Stored counts what is in storage. It is called once a minute at most.
	Stored(ctx context.Context) (Stored, error)
}

// Host is a Workfront host.
type Host struct {
	BaseURL                  string
	InFlight, Waiting, Limit int // calls
	Unavailable              bool
}

// Stored is what storage holds.
type Stored struct {
	ActiveSessions, PendingLogouts int
	CertificateExpiries            map[string]time.Time // by the name of the key
}

// Metrics holds the metrics of one mount. It is a session.Observer. It is safe for concurrent use.
type Metrics struct {
	now      func() time.Time
	registry *prometheus.Registry

	exchanges, logouts operation
	refreshFailures    prometheus.Counter
	roles              *roleFailures
	gone               prometheus.Counter

	scraping    chan struct{} // holds one while a scrape is under way, which guards what follows
	counted     time.Time     // when what is stored was counted last
	inFlight    *prometheus.GaugeVec
	waiting     *prometheus.GaugeVec
	limit       *prometheus.GaugeVec
	unavailable *prometheus.GaugeVec
	sessions    *prometheus.GaugeVec
	expiries    *prometheus.GaugeVec
}

// operation is a kind of call to Workfront that is counted by its outcome.
type operation struct {
	outcomes map[outcome]prometheus.Counter
	duration prometheus.Histogram
}

// New returns the metrics of a mount, all counters at 0.
func New(o Options) *Metrics {
	r := prometheus.NewRegistry()
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	m := &Metrics{
		now:      o.Now,
		registry: r,
		exchanges: newOperation(r, "exchange",
			"Exchanges of a JWT for a session at Workfront. Retries count as part of one."),
		logouts: newOperation(r, "logout", "Logouts of a session at Workfront. Retries count as part of one; another "+
			"attempt later at a pending logout counts anew."),
		refreshFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "shared_session_replacement_failures_total",
			Help: "Attempts to replace a shared session in the background that failed. It is issued until it expires.",
		}),
		roles: newRoleFailures(r),
		gone: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "sessions_gone_total",
			Help: "Shared sessions that Workfront turned out not to know any more before they expired, for example because they were " +
				"logged out outside Vault. Each counts as active until its last lease is released.",
		}),
		scraping: make(chan struct{}, 1),
		inFlight: gauges("calls_in_flight", "Calls to a Workfront host that are under way.", labelHost),
		waiting:  gauges("calls_waiting", "Calls to a Workfront host that wait for their turn.", labelHost),
		limit: gauges("calls_limit", "Calls to a Workfront host that may be under way at a time: max_connections, or fewer "+
			"for a while after an answer of status 429.", labelHost),
		unavailable: gauges("endpoint_unavailable", "1 while a Workfront host is marked unavailable because a logout failed "+
			"there a moment ago, so that logouts are pending without an attempt.", labelHost),
		sessions: gauges("sessions",
			"Sessions that this mount started and that have not ended. Counted once a minute at most.", labelState),
		expiries: gauges("key_certificate_expiry_timestamp_seconds",
			"When the certificate of a signing key expires, as Unix time.", labelKey),
	}
	build := gauges("build_info", "The plugin that serves this mount. Its value is 1.", "version", "commit")
	build.WithLabelValues(o.Version, o.Commit).Set(1)
	r.MustRegister(m.refreshFailures, m.gone)
	return m
}

// The names of labels.
const (
	labelHost    = "host"
	labelKey     = "key"
	labelOutcome = "outcome"
	labelRole    = "role"
	labelState   = "state"
)

// durations are the buckets of histograms, in seconds: from what a call takes within a data center to the longest
// request_timeout.
var durations = []float64{0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60}

// newOperation makes a counter for each outcome, so that each of them is there from the start: Prometheus sees no
// increase in a series that begins with 1.
func newOperation(r *prometheus.Registry, name, help string) operation {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name + "s_total", Help: help},
		[]string{labelOutcome})
	o := operation{
		outcomes: make(map[outcome]prometheus.Counter),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: name + "_duration_seconds", Buckets: durations,
			Help: "How long each " + name + " took, whatever its outcome, its wait for its turn and its retries included.",
		}),
	}
	r.MustRegister(total, o.duration)
	for _, outcome := range outcomes() {
		o.outcomes[outcome] = total.WithLabelValues(string(outcome))
	}
	return o
}

func (o operation) done(err error, took time.Duration) {
	o.outcomes[outcomeOf(err)].Inc()
	o.duration.Observe(took.Seconds())
}

// ExchangeDone counts an exchange.
func (m *Metrics) ExchangeDone(err error, took time.Duration) { m.exchanges.done(err, took) }

// LogoutDone counts a logout.
func (m *Metrics) LogoutDone(err error, took time.Duration) { m.logouts.done(err, took) }

// RefreshFailed counts an attempt to replace a shared session.
func (m *Metrics) RefreshFailed() { m.refreshFailures.Inc() }

// SessionGone counts a session that Workfront turned out not to know any more.
func (m *Metrics) SessionGone() { m.gone.Inc() }

// ContentType is that of what Scrape returns.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Scrape returns all metrics in Prometheus' text format. Its error is that of s.Stored, or of ctx.
func (m *Metrics) Scrape(ctx context.Context, s State) ([]byte, error) {
	select {
	case m.scraping <- struct{}{}:
		defer func() { <-m.scraping }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := m.count(ctx, s); err != nil {
		return nil, err
	}
	m.look(s)
	families, err := m.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return nil, fmt.Errorf("write metrics: %w", err)
		}
	}
	return text.Bytes(), nil
}

// count counts what is stored, unless that was done within the last minute.
func (m *Metrics) count(ctx context.Context, s State) error {
	now := m.now()
	if !m.counted.IsZero() && now.Sub(m.counted) < countEvery {
		return nil
	}
	stored, err := s.Stored(ctx)
	if err != nil {
		return err
	}
	m.counted = now
	m.sessions.WithLabelValues("active").Set(float64(stored.ActiveSessions))
	m.sessions.WithLabelValues("logout_pending").Set(float64(stored.PendingLogouts))
	m.expiries.Reset() // of keys that were deleted
	for name, notAfter := range stored.CertificateExpiries {
		m.expiries.WithLabelValues(name).Set(float64(notAfter.Unix()))
	}
	return nil
}

// look asks how it stands with the hosts.
func (m *Metrics) look(s State) {
	all := []*prometheus.GaugeVec{m.inFlight, m.waiting, m.limit, m.unavailable}
	for _, g := range all {
		g.Reset() // of hosts that are no longer called
	}
	for _, h := range s.Hosts() {
		unavailable := 0
		if h.Unavailable {
			unavailable = 1
		}
		for i, value := range []int{h.InFlight, h.Waiting, h.Limit, unavailable} {
			all[i].WithLabelValues(h.BaseURL).Set(float64(value))
		}
	}
}
