package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// simulator is the stand-in for Workfront: a process of its own, so that it takes no processor time from what is measured
// but in the open.
type simulator struct {
	BaseURL      string `json:"base_url"`
	CACertFile   string `json:"ca_cert_file"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	CustomerID   string `json:"customer_id"`
	UserID       string `json:"user_id"`

	caCert string
	client *http.Client
}

// findSimulator reads what a running simulator says of itself in its directory.
func findSimulator(dir string) (*simulator, error) {
	content, err := os.ReadFile(filepath.Join(dir, "simulator.json"))
	if err != nil {
		return nil, err
	}
	s := &simulator{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.CACertFile)
	if err != nil {
		return nil, err
	}
	s.caCert = string(ca)
	s.client = s.httpClient(1)
	return s, nil
}

// httpClient is a bare client of so many connections, each kept alive.
func (s *simulator) httpClient(connections int) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.caCert))
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		MaxConnsPerHost:     connections,
		MaxIdleConnsPerHost: connections,
	}}
}

// admin calls the administration API and reads the answer into a value, unless that is nil.
func (s *simulator) admin(method, path string, body []byte, into any) error {
	req, err := http.NewRequest(method, s.BaseURL+"/simulator/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode > 299 {
		return fmt.Errorf("%s /simulator/%s: status %d: %s", method, path, resp.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// addPublicKey is what the user does in Workfront's Setup.
func (s *simulator) addPublicKey(pem []byte) error {
	return s.admin(http.MethodPost, "applications/"+s.ClientID+"/public-keys?user_id="+s.UserID, pem, nil)
}

func (s *simulator) stats() (stats workfronttest.Stats, err error) {
	return stats, s.admin(http.MethodGet, "stats", nil, &stats)
}

// exchangesTake sets how long an exchange takes, and how many calls may be under way at a time; 0 sets no limit. All
// other behavior is the default.
func (s *simulator) exchangesTake(d time.Duration, maxCalls int) error {
	body, err := json.Marshal(map[string]any{"exchange_delay": d.String(), "max_calls": maxCalls})
	if err != nil {
		return err
	}
	return s.admin(http.MethodPut, "behaviour", body, nil)
}
