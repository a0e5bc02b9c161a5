//go:build e2e

package examples

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPrometheus checks the alert rules as the page says, and has a real Prometheus scrape the mount.
func TestPrometheus(t *testing.T) {
	r := startRig(t)
	r.mount(t, nil)
	if _, err := r.Root.Logical().Read("workfront/token/reports"); err != nil {
		t.Fatal(err)
	}
	r.policy(t, "workfront-monitoring", "policies/monitoring.hcl")
	token := r.token(t, "workfront-monitoring")
	write(t, r.path("vault-token"), token+"\n", 0o600)
	p := r.openPage(t, "prometheus",
		"vault.example.com:8200", strings.TrimPrefix(r.address, "http://"), "scheme: https", "scheme: http",
		"/etc/prometheus/vault-token", r.path("vault-token"), "/etc/prometheus/vault-ca.pem", r.path("ca.pem"),
		"scrape_interval: 1m", "scrape_interval: 1s", "scrape_timeout: 10s", "scrape_timeout: 1s")
	p.next(t, "promtool test rules")
	p.end(t)
	run(t, p.command(t, "promtool", "check", "config", "prometheus.yml"))

	raw := p.command(t, filepath.Join(r.bin, "vault"), "read", "-format=raw", "workfront/metrics")
	raw.Env = append(raw.Env, "VAULT_TOKEN="+token)
	if text := run(t, raw); !strings.HasPrefix(text, "# HELP vault_workfront_") {
		t.Errorf("the command line prints %.200q", text)
	}

	address := p.startPrometheus(t)
	for query, want := range map[string]string{
		`up{job="vault-workfront", mount="workfront"}`:                                  "1",
		`vault_workfront_exchanges_total{mount="workfront", outcome="success"}`:         "1",
		`vault_workfront_sessions{mount="workfront", state="active"}`:                   "1",
		`vault_workfront_key_certificate_expiry_timestamp_seconds > time()`:             "",
		`histogram_quantile(0.5, vault_workfront_exchange_duration_seconds_bucket) > 0`: "",
	} {
		eventually(t, func() error { return wantSample(address, query, want) })
	}
}

// startPrometheus starts Prometheus with the page's configuration and returns its address.
func (p *page) startPrometheus(t *testing.T) (address string) {
	t.Helper()
	// Prometheus does not say on which port it listens, so it is told one that was free a moment ago.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	_ = listener.Close()
	cmd := p.command(t, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	log := &output{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", log)
		}
	})
	return address
}

// wantSample checks that a query finds one series, of that value unless it is "".
func wantSample(address, query, want string) error {
	resp, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if len(answer.Data.Result) != 1 {
		return fmt.Errorf("%s: %d series, want one; %s", query, len(answer.Data.Result), answer.Error)
	}
	if got := answer.Data.Result[0].Value[1]; want != "" && got != want {
		return fmt.Errorf("%s is %v, want %s", query, got, want)
	}
	return nil
}
