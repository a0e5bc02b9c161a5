//go:build e2e

package examples

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestTerraformSettles does with a server what the provider's vault_generic_endpoint does with the fields that the module
// sends: it writes them, reads them back, and compares each that the answer holds. A difference would be in every plan. Then it
// destroys what was made in Terraform's order.
func TestTerraformSettles(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	if err := r.Root.Sys().Mount("workfront", &api.MountInput{Type: pluginName}); err != nil {
		t.Fatal(err)
	}
	if certificate := r.write(t, "workfront/keys/default/generate", map[string]any{}).Data["certificate"]; certificate == "" {
		t.Error("the answer of generate holds no certificate")
	}
	_, config, _ := strings.Cut(example(t, "terraform/main.tf"), "data_json = jsonencode({\n")
	config, _, _ = strings.Cut(config, "})")
	_, role, _ := strings.Cut(example(t, "terraform/variables.tf"), "map(object({\n")
	role, _, _ = strings.Cut(role, "}))")
	w := r.workfront
	for _, c := range []struct {
		path, fields string
		values       map[string]any
	}{
		{"workfront/config", config, map[string]any{
			"base_url": w.URL(), "client_id": w.App.ClientID, "client_secret": w.App.ClientSecret,
			"customer_id": w.App.CustomerID, "user_id": "", "key": "default", "ttl": 0, "max_ttl": 0, "share_session": false,
			"ca_cert": w.CACert(), "allow_custom_host": true,
		}},
		{"workfront/config", config, map[string]any{
			"base_url": w.URL(), "client_id": w.App.ClientID, "client_secret": w.App.ClientSecret,
			"customer_id": w.App.CustomerID, "user_id": w.User.ID, "key": "default", "ttl": 600, "max_ttl": 3600, "share_session": true,
			"ca_cert": w.CACert(), "allow_custom_host": true,
		}},
		{"workfront/roles/reports", role, map[string]any{
			"user_id": "", "key": "", "ttl": 0, "max_ttl": 0, "share_session": false, "description": "",
		}},
		{"workfront/roles/reports", role, map[string]any{
			"user_id": w.User.ID, "key": "default", "ttl": 600, "max_ttl": 3600, "share_session": true, "description": "nightly reports",
		}},
	} {
		for _, match := range regexp.MustCompile(`(?m)^\s+([a-z_]+)\s+=`).FindAllStringSubmatch(c.fields, -1) {
			if _, known := c.values[match[1]]; !known {
				t.Errorf("%s: the module sends %s, which this test does not know", c.path, match[1])
			}
		}
		for name := range c.values {
			if !regexp.MustCompile(`(?m)^\s+` + name + `\s+=`).MatchString(c.fields) {
				t.Errorf("%s: the module does not send %s", c.path, name)
			}
		}
		r.write(t, c.path, c.values)
		answer, err := r.Root.Logical().Read(c.path)
		if err != nil {
			t.Fatal(err)
		}
		for name, sent := range c.values {
			if got, there := answer.Data[name]; there && !sameJSON(t, sent, got) {
				t.Errorf("%s: %s was written as %v and read as %v", c.path, name, sent, got)
			}
		}
		if _, there := answer.Data["client_secret"]; there {
			t.Errorf("%s answers with the client secret", c.path)
		}
	}
	// config and the keys go with the mount.
	if _, err := r.Root.Logical().Delete("workfront/roles/reports"); err != nil {
		t.Errorf("destroy the role: %v", err)
	}
	if err := r.Root.Sys().Unmount("workfront"); err != nil {
		t.Errorf("destroy the mount: %v", err)
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	var values [2]any
	for i, v := range []any{a, b} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &values[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}
