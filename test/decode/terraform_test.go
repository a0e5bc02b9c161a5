package decode

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/terraform-config-inspect/tfconfig"
)

// resourceArguments are the arguments of the provider's resources that the module may use (hashicorp/vault 5.x).
var resourceArguments = map[string][]string{
	"terraform_data": {"input"},
	"vault_mount":    {"path", "type", "plugin_version", "description"},
	"vault_generic_endpoint": {
		"count", "for_each", "depends_on", "path", "data_json", "disable_read", "disable_delete", "ignore_absent_fields", "write_fields",
	},
	"vault_policy": {"for_each", "depends_on", "name", "policy"},
}

func TestTerraformModule(t *testing.T) {
	for _, dir := range []string{"terraform", "terraform/example"} {
		if _, diagnostics := tfconfig.LoadModule(path(dir)); diagnostics.HasErrors() {
			t.Errorf("%s: %v", dir, diagnostics)
		}
	}
	module, _ := tfconfig.LoadModule(path("terraform"))
	page := example(t, "terraform/README.md")
	for _, name := range slices.Sorted(maps.Keys(module.Variables)) {
		if variable := module.Variables[name]; variable.Description == "" || variable.Type == "" {
			t.Errorf("variable %s has no description or no type", name)
		}
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name the variable %s", name)
		}
	}
	for _, name := range []string{
		"path", "base_url", "client_id", "client_secret", "customer_id", "user_id", "ca_cert", "allow_custom_host", "roles",
	} {
		if module.Variables[name] == nil {
			t.Errorf("there is no variable %s", name)
		}
	}
	if !module.Variables["client_secret"].Sensitive {
		t.Error("client_secret is not sensitive")
	}
	if module.Outputs["certificate"] == nil {
		t.Error("there is no output certificate")
	}
	if provider := module.RequiredProviders["vault"]; provider == nil || provider.Source != "hashicorp/vault" {
		t.Errorf("the provider is %+v, want hashicorp/vault", provider)
	}
}

// TestTerraformArguments: every block of the module is one that Terraform has, with arguments that the provider has, and every
// variable that it refers to exists.
func TestTerraformArguments(t *testing.T) {
	files, err := filepath.Glob(path("terraform/*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	module, _ := tfconfig.LoadModule(path("terraform"))
	top := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "terraform"},
		{Type: "locals"},
		{Type: "variable", LabelNames: []string{"name"}},
		{Type: "output", LabelNames: []string{"name"}},
		{Type: "resource", LabelNames: []string{"type", "name"}},
	}}
	for _, file := range files {
		parsed, diagnostics := hclparse.NewParser().ParseHCLFile(file)
		if diagnostics.HasErrors() {
			t.Errorf("%s: %v", file, diagnostics)
			continue
		}
		content, diagnostics := parsed.Body.Content(top)
		if diagnostics.HasErrors() {
			t.Errorf("%s: %v", file, diagnostics)
			continue
		}
		for _, block := range content.Blocks.OfType("resource") {
			known := &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "lifecycle"}}}
			for _, name := range resourceArguments[block.Labels[0]] {
				known.Attributes = append(known.Attributes, hcl.AttributeSchema{Name: name})
			}
			if _, diagnostics := block.Body.Content(known); diagnostics.HasErrors() {
				t.Errorf("%s: %v", file, diagnostics)
			}
		}
		for _, match := range regexp.MustCompile(`\bvar\.([a-z_]+)`).FindAllStringSubmatch(string(parsed.Bytes), -1) {
			if module.Variables[match[1]] == nil {
				t.Errorf("%s refers to the variable %s, which does not exist", file, match[1])
			}
		}
	}
}
