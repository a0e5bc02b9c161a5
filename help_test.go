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

func TestHelp(t *testing.T) {
	m := newMount(t)
	for _, path := range []string{"", "config", "keys", "keys/k", "keys/k/generate", "keys/k/import", "roles", "roles/r", "token", "token/r", "check", "sessions", "sessions/s", "info"} {
		resp := m.must(logical.HelpOperation, path, nil)
		if help, _ := resp.Data["help"].(string); len(help) < 100 {
			t.Errorf("help on %q: got %q", path, help)
		}
		if resp.Data["openapi"] == nil {
			t.Errorf("help on %q holds no OpenAPI document", path)
		}
	}
}
