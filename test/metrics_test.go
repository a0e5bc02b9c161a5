//go:build e2e

package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// scrape reads the metrics as Prometheus does: with a token of the example policy.
func (m *mount) scrape(t *testing.T) (text string, values map[string]int) {
	t.Helper()
	policy, err := os.ReadFile("../examples/policies/monitoring.hcl")
	if err != nil {
		t.Fatal(err)
	}
	client := m.clientWith(t, strings.ReplaceAll(string(policy), "workfront/", m.path+"/"))
	resp, err := client.Logical().ReadRaw(m.path + "/metrics")
	if err != nil {
		t.Fatalf("read metrics: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, want := resp.Header.Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8"; got != want {
		t.Errorf("content type is %q, want %q", got, want)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	values = map[string]int{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(value); err == nil {
			values[strings.TrimPrefix(name, "vault_workfront_")] = n
		}
	}
	if _, err := client.Logical().Read(m.path + "/config"); err == nil {
		t.Error("the policy for monitoring lets config be read")
	} else {
		wantError(t, err, http.StatusForbidden)
	}
	return string(body), values
}

// TestStoryMetrics: what the plugin counts is what Workfront counted.
func TestStoryMetrics(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	m.write(t, "roles/stranger", map[string]any{"user_id": workfronttest.NewID()})
	leases := []*api.Secret{
		m.roleToken(t, sharedRole), m.roleToken(t, sharedRole), m.token(t, ""), m.token(t, ""), m.token(t, ""),
	}
	if _, err := m.readRole("stranger"); err == nil {
		t.Error("a session was started for a user whom nobody knows")
	}
	resume := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500})
	if _, err := m.readToken(""); err == nil {
		t.Error("a session was started by a Workfront that is broken")
	}
	resume()
	m.revoke(t, leases[4])
	resume = w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	m.revoke(t, leases[3])

	text, got := m.scrape(t)
	answered := map[string]int{} // by endpoint and status
	for _, r := range w.Requests() {
		answered[fmt.Sprint(r.Endpoint, " ", r.Status)]++
	}
	stats := w.Stats()
	refused := stats.Exchanges - stats.Started - answered[fmt.Sprint(workfronttest.EndpointExchange, " 500")]
	for name, want := range map[string]int{
		`exchanges_total{outcome="success"}`:             stats.Started,
		`exchanges_total{outcome="refused"}`:             refused,
		`exchanges_total{outcome="unavailable"}`:         answered[fmt.Sprint(workfronttest.EndpointExchange, " 500")],
		`exchange_duration_seconds_count`:                stats.Exchanges,
		`logouts_total{outcome="success"}`:               stats.LoggedOut,
		`logouts_total{outcome="unavailable"}`:           answered[fmt.Sprint(workfronttest.EndpointLogout, " 500")],
		`logout_duration_seconds_count`:                  stats.Logouts,
		`sessions{state="active"}`:                       stats.Alive - 1,
		`sessions{state="logout_pending"}`:               1,
		`shared_session_replacement_failures_total`:      0,
		fmt.Sprintf(`calls_in_flight{host=%q}`, w.URL()): 0,
		fmt.Sprintf(`calls_waiting{host=%q}`, w.URL()):   0,
		fmt.Sprintf(`calls_limit{host=%q}`, w.URL()):     8,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %d (there: %t), want %d", name, value, there, want)
		}
	}
	if stats.Started != 4 || refused == 0 || stats.LoggedOut != 1 {
		t.Errorf("workfront counted %+v, want 4 sessions started, 1 logged out and an exchange refused", stats)
	}
	for _, lease := range leases {
		for _, secret := range []string{accessToken(lease), sessionID(lease), w.App.ClientSecret} {
			if strings.Contains(text, secret) {
				t.Error("the metrics hold a token, the ID of a session, or the client secret")
			}
		}
	}
	resume()
	m.delete(t, "sessions/"+sessionID(leases[3]))
	m.revokeAll(t)
}
