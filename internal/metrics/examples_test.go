package metrics_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// exported are the names by which Prometheus knows the metrics.
func exported(t *testing.T) []string {
	t.Helper()
	names := []string{"up"} // Prometheus' own, of each scrape
	m := newMetrics(time.Now)
	m.ExchangeFailed("", context.Canceled) // without a failure, a role has no series
	for line := range strings.Lines(scrape(t, m, busyMount())) {
		if !strings.HasPrefix(line, "#") {
			name, _, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, "{")
			names = append(names, name)
		}
	}
	return names
}

var (
	// What may hold names that are none of metrics: label matchers, ranges, lists of labels, strings.
	aside = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)`)
	// A name, and what follows it: functions have a parenthesis.
	word = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(?)`)
)

// metricsIn returns the names of metrics in a PromQL expression.
func metricsIn(expr string) []string {
	var names []string
	for _, found := range word.FindAllStringSubmatch(aside.ReplaceAllString(expr, " "), -1) {
		if found[2] == "" && !slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, found[1]) {
			names = append(names, found[1])
		}
	}
	return names
}

func wantExported(t *testing.T, exported []string, what, expr string) {
	t.Helper()
	names := metricsIn(expr)
	if len(names) == 0 {
		t.Errorf("%s: %q names no metric", what, expr)
	}
	for _, name := range names {
		if !slices.Contains(exported, name) {
			t.Errorf("%s: %q names %s, which does not exist", what, expr, name)
		}
	}
}

func TestDashboardNamesMetricsThatExist(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../examples/prometheus/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	names, queries := exported(t), 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			wantExported(t, names, "panel "+panel.Title, target.Expr)
		}
	}
	if queries < 12 {
		t.Errorf("found %d queries, want those of all panels", queries)
	}
}

// metricName is a metric of ours, as pages and rules name it.
var metricName = regexp.MustCompile(`\bvault_workfront_[a-z_]+`)

// The alert rules are run by promtool, in make test-examples; that a metric does not exist, it cannot know.
func TestRulesAndPageNameMetricsThatExist(t *testing.T) {
	names := exported(t)
	for _, file := range []string{
		"../../examples/prometheus/alerts.yml", "../../examples/prometheus/alerts_test.yml", "../../docs/monitoring.md",
	} {
		found := metricName.FindAllString(readFile(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", filepath.Base(file))
		}
		for _, name := range found {
			if !slices.Contains(names, name) && !slices.Contains(names, name+"_bucket") {
				t.Errorf("%s names %s, which does not exist", filepath.Base(file), name)
			}
		}
	}
}

func TestEveryMetricAndAlertIsDocumented(t *testing.T) {
	page := readFile(t, "../../docs/monitoring.md")
	for _, name := range exported(t) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if !strings.Contains(page, "`"+name) {
			t.Errorf("docs/monitoring.md says nothing of %s", name)
		}
	}
	rules := readFile(t, "../../examples/prometheus/alerts.yml")
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 5 {
		t.Errorf("found %d alerts", len(alerts))
	}
	for _, alert := range alerts {
		if !strings.Contains(page, "### "+alert[1]+"\n") {
			t.Errorf("docs/monitoring.md does not say what to do about %s", alert[1])
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
