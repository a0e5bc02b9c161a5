package decode

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// alltrue is Terraform's own.
var alltrue = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		for _, value := range args[0].AsValueSlice() {
			if value.False() {
				return cty.False, nil
			}
		}
		return cty.True, nil
	},
})

// terraformFunctions are the functions that the conditions about names call.
var terraformFunctions = map[string]function.Function{
	"alltrue": alltrue, "can": tryfunc.CanFunc, "regex": stdlib.RegexFunc, "length": length, "keys": stdlib.KeysFunc,
	"values": stdlib.ValuesFunc, "concat": stdlib.ConcatFunc, "compact": stdlib.CompactFunc, "distinct": stdlib.DistinctFunc,
	"lower": stdlib.LowerFunc, "floor": stdlib.FloorFunc, "strcontains": strcontains,
}

var strcontains = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "text", Type: cty.String}, {Name: "part", Type: cty.String}},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		return cty.BoolVal(strings.Contains(args[0].AsString(), args[1].AsString())), nil
	},
})

// length counts the letters of a string, too; cty has two functions for that.
var length = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if args[0].Type() == cty.String {
			return stdlib.Strlen(args[0])
		}
		return stdlib.Length(args[0])
	},
})

// refusal returns the message of the variable's first condition that a value does not meet, or "".
func refusal(t *testing.T, variable, value string) string {
	t.Helper()
	file, diagnostics := hclparse.NewParser().ParseHCLFile(path("terraform/variables.tf"))
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	content, _, diagnostics := file.Body.PartialContent(&hcl.BodySchema{
		Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}},
	})
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	for _, block := range content.Blocks {
		if block.Labels[0] != variable {
			continue
		}
		inside, _, diagnostics := block.Body.PartialContent(&hcl.BodySchema{
			Attributes: []hcl.AttributeSchema{{Name: "type", Required: true}},
			Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
		})
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		kind, defaults, diagnostics := typeexpr.TypeConstraintWithDefaults(inside.Attributes["type"].Expr)
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		given := evaluate(t, value)
		if defaults != nil {
			given = defaults.Apply(given)
		}
		given, err := convert.Convert(given, kind)
		if err != nil {
			t.Fatalf("%s = %s: %v", variable, value, err)
		}
		scope := &hcl.EvalContext{
			Functions: terraformFunctions,
			Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{variable: given})},
		}
		for _, validation := range inside.Blocks {
			attributes, diagnostics := validation.Body.JustAttributes()
			if diagnostics.HasErrors() {
				t.Fatal(diagnostics)
			}
			met, diagnostics := attributes["condition"].Expr.Value(scope)
			if diagnostics.HasErrors() {
				t.Fatalf("%s = %s: %v", variable, value, diagnostics)
			}
			if met.False() {
				message, _ := attributes["error_message"].Expr.Value(nil)
				return message.AsString()
			}
		}
		return ""
	}
	t.Fatalf("there is no variable %s", variable)
	return ""
}

func evaluate(t *testing.T, expression string) cty.Value {
	t.Helper()
	file, diagnostics := hclparse.NewParser().ParseHCL([]byte("value = "+expression), "value")
	if diagnostics.HasErrors() {
		t.Fatalf("%s: %v", expression, diagnostics)
	}
	attributes, _ := file.Body.JustAttributes()
	value, diagnostics := attributes["value"].Expr.Value(nil)
	if diagnostics.HasErrors() {
		t.Fatalf("%s: %v", expression, diagnostics)
	}
	return value
}

// TestTerraformNames: no two roles share a policy, and no name gets out of the path or the HCL that it is put into.
func TestTerraformNames(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, tt := range []struct{ variable, value, want string }{
		{"roles", `{}`, ""},
		{"roles", `{ reports = {}, sync = { key = "ops" } }`, ""},
		{"roles", `{ "anna.b@acme.com" = {}, "A-1_b" = {} }`, ""},
		{"roles", `{ Reports = {}, reports = {} }`, "must differ by more than upper and lower case"},
		{"roles", `{ "re\" {}\npath \"*" = {} }`, "must be named with letters"},
		{"roles", `{ "reports/../sync" = {} }`, "must be named with letters"},
		{"roles", `{ "*" = {} }`, "must be named with letters"},
		{"roles", `{ "" = {} }`, "must be named with letters"},
		{"roles", `{ "` + long + `" = {} }`, "must be named with letters"},
		{"roles", `{ reports = { key = "a/b" } }`, "must be named with letters"},
		{"key", `"default"`, ""},
		{"key", `""`, "must consist of letters"},
		{"key", `"a..b"`, "must consist of letters"},
		{"key", `"` + long + `"`, "must consist of letters"},
		{"keys", `["next"]`, ""},
		{"keys", `["next", "a/b"]`, "must consist of letters"},
		{"path", `"workfront"`, ""},
		{"path", `"teams/a"`, ""},
		{"path", `"Workfront"`, "must consist of lower-case letters"},
		{"path", `"teams//a"`, "must consist of lower-case letters"},
		{"path", `"workfront/"`, "must consist of lower-case letters"},
		{"path", `"x\" {}\npath \"*"`, "must consist of lower-case letters"},
	} {
		if got := refusal(t, tt.variable, tt.value); got == "" != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s = %s: refused with %q, want %q", tt.variable, tt.value, got, tt.want)
		}
	}
}
