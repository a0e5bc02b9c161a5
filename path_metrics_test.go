package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// scrape reads metrics as Prometheus does.
func (m *mount) scrape() string {
	m.t.Helper()
	data := m.read("metrics")
	if got, want := data[logical.HTTPContentType], "text/plain; version=0.0.4; charset=utf-8"; got != want {
		m.t.Errorf("content type is %v, want %v", got, want)
	}
	if got := data[logical.HTTPStatusCode]; got != 200 {
		m.t.Errorf("status is %v, want 200", got)
	}
	text, _ := data[logical.HTTPRawBody].([]byte)
	return string(text)
}

func (m *mount) wantMetric(text, name string, value any) {
	m.t.Helper()
	if line := fmt.Sprintf("\n%s %v\n", name, value); !strings.Contains(text, line) {
		m.t.Errorf("no metric %q in\n%s", strings.TrimSpace(line), text)
	}
}

func TestMetrics(t *testing.T) {
	m, w := ready(t, nil)
	m.write("config", map[string]any{fieldVerify: true})
	kept, pending := m.readToken(nil), m.readToken(nil)
	m.readToken(nil).revoke()
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 502})
	pending.revoke()
	text := m.scrape()
	m.wantMetric(text, fmt.Sprintf("vault_workfront_build_info{commit=%q,version=%q}", commit, version), 1)
	m.wantMetric(text, `vault_workfront_exchanges_total{outcome="success"}`, w.Stats().Exchanges)
	m.wantMetric(text, `vault_workfront_logouts_total{outcome="success"}`, w.Stats().LoggedOut)
	m.wantMetric(text, `vault_workfront_logouts_total{outcome="unavailable"}`, 1)
	m.wantMetric(text, `vault_workfront_sessions{state="active"}`, 1)
	m.wantMetric(text, `vault_workfront_sessions{state="logout_pending"}`, 1)
	m.wantMetric(text, fmt.Sprintf("vault_workfront_endpoint_unavailable{host=%q}", w.URL()), 1)
	m.wantMetric(text, `vault_workfront_key_certificate_expiry_timestamp_seconds{key="default"}`,
		float64(testKey().Certificate.NotAfter.Unix()))
	for _, secret := range []string{kept.token(), kept.data[fieldSessionID].(string), w.App.ClientSecret, w.User.ID} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
}

// A series of a role's failures goes with the role, even if a read of it was under way when it was deleted.
func TestMetricsOfFailedRoles(t *testing.T) {
	m, w := ready(t, nil)
	const name = "vault_workfront_role_exchange_failures_total"
	wantNone := func(role string) {
		t.Helper()
		if text := m.scrape(); strings.Contains(text, fmt.Sprintf("role=%q", role)) {
			t.Errorf("there is a series of the role %s:\n%s", role, text)
		}
	}
	m.write("roles/good", nil)
	m.readTokenAt("token/good", nil)
	wantNone("good")
	m.write("roles/stranger", map[string]any{settings.FieldUserID: workfronttest.NewID()})
	m.wantRefused(logical.ReadOperation, "token/stranger", nil, "refused")
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 500})
	m.wantStatus(502, logical.ReadOperation, "token", nil)
	m.write("check", map[string]any{fieldRole: "good"})
	if _, err := m.request(logical.UpdateOperation, "config", map[string]any{fieldVerify: true}); err == nil {
		t.Error("verified although workfront is broken")
	}
	remove()
	text := m.scrape()
	m.wantMetric(text, name+`{outcome="refused",role="stranger"}`, 1)
	m.wantMetric(text, name+`{outcome="unavailable",role=""}`, 1)
	wantNone("good")
	m.must(logical.DeleteOperation, "roles/stranger", nil)
	wantNone("stranger")

	m.write("roles/stranger", map[string]any{settings.FieldUserID: workfronttest.NewID()})
	hang := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	read := make(chan error, 1)
	go func() {
		_, err := m.request(logical.ReadOperation, "token/stranger", nil)
		read <- err
	}()
	await.That(t, "the exchange is under way", func() bool { return w.Stats().CallsUnderWay == 1 })
	m.must(logical.DeleteOperation, "roles/stranger", nil)
	hang()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	m.wantMetric(m.scrape(), name+`{outcome="refused",role="stranger"}`, 1)
	m.must(logical.RollbackOperation, "", nil)
	wantNone("stranger")
}

func TestMetricsOfAMountThatIsNotSetUp(t *testing.T) {
	m := newMount(t)
	m.wantMetric(m.scrape(), `vault_workfront_sessions{state="active"}`, 0)
}

// Each mount counts for itself.
func TestMetricsOfTwoMounts(t *testing.T) {
	m, _ := ready(t, nil)
	other := newMount(t)
	m.readToken(nil)
	m.wantMetric(m.scrape(), `vault_workfront_exchanges_total{outcome="success"}`, 1)
	other.wantMetric(other.scrape(), `vault_workfront_exchanges_total{outcome="success"}`, 0)
}
