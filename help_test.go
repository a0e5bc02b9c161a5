package main

import (
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// `vault path-help`, the OpenAPI document and the UI have to describe every path without the README.
func TestEveryPathIsDescribed(t *testing.T) {
	b := newMount(t).backend.(*backend)
	for _, p := range b.Paths {
		if p.HelpSynopsis == "" || len(p.HelpDescription) < 50 {
			t.Errorf("%s: no help", p.Pattern)
		}
		if p.DisplayAttrs == nil || p.DisplayAttrs.OperationPrefix != operationPrefix || p.DisplayAttrs.OperationSuffix == "" {
			t.Errorf("%s: no display attributes", p.Pattern)
		}
		for _, line := range strings.Split(p.HelpDescription, "\n") {
			if len(line) > 80 {
				t.Errorf("%s: help is wider than 80 characters: %s", p.Pattern, line)
			}
		}
		for name, field := range p.Fields {
			if field.Description == "" || field.DisplayAttrs == nil || field.DisplayAttrs.Name == "" {
				t.Errorf("%s: field %s is not described", p.Pattern, name)
			}
		}
		for op, handler := range p.Operations {
			properties := handler.Properties()
			if properties.Summary == "" || len(properties.Responses) == 0 {
				t.Errorf("%s %s: no summary or no responses", op, p.Pattern)
			}
			for status, responses := range properties.Responses {
				for name, field := range responses[0].Fields {
					if field.Description == "" {
						t.Errorf("%s %s: field %s of the %d answer is not described", op, p.Pattern, name, status)
					}
				}
			}
		}
	}
}

// What `vault path-help` prints of each path, by the words that an operator needs. (That Vault passes it on is tested with the
// OpenAPI document, end to end.)
func TestHelp(t *testing.T) {
	m := newMount(t)
	for path, words := range map[string][]string{
		"":                {"Workfront", "keys/default/generate", "config", "token"},
		"config":          {"base_url", "client_secret", "allow_custom_host", "max_connections", "vault write workfront/config"},
		"keys":            {"vault list workfront/keys"},
		"keys/k":          {"certificate", "vault read -field=certificate"},
		"keys/k/generate": {"key_bits", "common_name", "vault write -f"},
		"keys/k/import":   {"private_key", "openssl req -x509", "vault write"},
		"roles":           {"vault list workfront/roles"},
		"roles/r":         {"share_session", "vault write workfront/roles/reports"},
		"token":           {"ttl", "sessionID", "vault read workfront/token", "Reading is the usual way"},
		"token/r":         {"role", "vault read workfront/token/reports"},
		"check":           {"vault write -f workfront/check", "observe=true"},
		"sessions":        {"vault list -detailed workfront/sessions"},
		"sessions/lookup": {"access_token=-", "base_url", "audit_non_hmac_request_keys", "vault delete workfront/sessions"},
		"sessions/s":      {"vault delete workfront/sessions"},
		"info":            {"vault read workfront/info"},
		"metrics":         {"Prometheus", "vault read -format=raw workfront/metrics"},
	} {
		resp := m.must(logical.HelpOperation, path, nil)
		help, _ := resp.Data["help"].(string)
		for _, word := range words {
			if !strings.Contains(help, word) {
				t.Errorf("help on %q does not hold %q:\n%s", path, word, help)
			}
		}
		if resp.Data["openapi"] == nil {
			t.Errorf("help on %q holds no OpenAPI document", path)
		}
	}
}
