//go:build e2e

package test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// documented are the paths of the plugin, as the OpenAPI document writes them, with their methods.
var documented = map[string][]string{
	"config":               {"delete", "get", "patch", "post"},
	"info":                 {"get"},
	"metrics":              {"get"},
	"keys/":                {"get"},
	"keys/{name}":          {"delete", "get"},
	"keys/{name}/generate": {"post"},
	"keys/{name}/import":   {"post"},
	"roles/":               {"get"},
	"roles/{name}":         {"delete", "get", "patch", "post"},
	"token":                {"get", "post"},
	"token/{role}":         {"get", "post"},
	"check":                {"post"},
	"sessions/":            {"get"},
	"sessions/lookup":      {"post"},
	"sessions/{id}":        {"delete", "get"},
}

// TestStoryInfo: the version that is registered is the one that runs.
func TestStoryInfo(t *testing.T) {
	t.Parallel()
	v := sharedVault(t)
	m := enable(t, v, uniqueName(t))
	info := m.read(t, "info")
	version, _ := info["version"].(string)
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`).MatchString(version) {
		t.Errorf("version is %q, want a semantic version with a v", version)
	}
	if got := info["api_version"]; got != "v22.0" {
		t.Errorf("api_version is %v, want v22.0", got)
	}
	if got := info["fips140"]; got != false {
		t.Errorf("fips140 is %v, want false: the mode has not been switched on", got)
	}
	for _, name := range []string{"commit", "build_date"} {
		if text, _ := info[name].(string); text == "" {
			t.Errorf("%s is empty", name)
		}
	}
	mounts, err := v.root.Sys().ListMounts()
	if err != nil {
		t.Fatal(err)
	}
	if got := mounts[m.path+"/"].RunningVersion; got != version {
		t.Errorf("vault says that %q runs, info says %q", got, version)
	}
	// Registered under its version it can be pinned; under another one Vault does not let it run. It gets another name
	// for this, because to deregister a version touches the others.
	const name = "pinned"
	for _, c := range []struct {
		version string
		runs    bool
	}{{version, true}, {"v99.0.0", false}} {
		if err := v.Register(name, pluginName, c.version); err != nil {
			if c.runs {
				t.Errorf("register %s: %v", c.version, err)
			}
			continue
		}
		path := uniqueName(t)
		err := v.root.Sys().Mount(path, &api.MountInput{Type: name, Config: api.MountConfigInput{PluginVersion: c.version}})
		if (err == nil) != c.runs {
			t.Errorf("mount %s: %v, want it to run: %t", c.version, err, c.runs)
		}
		if err == nil {
			if err := v.root.Sys().Unmount(path); err != nil {
				t.Error(err)
			}
		}
		if err := v.root.Sys().DeregisterPlugin(&api.DeregisterPluginInput{Name: name, Type: api.PluginTypeSecrets, Version: c.version}); err != nil {
			t.Error(err)
		}
	}
}

type openAPI struct {
	Paths map[string]map[string]json.RawMessage `json:"paths"`
}

type openAPIOperation struct {
	Summary     string                     `json:"summary"`
	OperationID string                     `json:"operationId"`
	Responses   map[string]json.RawMessage `json:"responses"`
}

// TestOpenAPI reads the document that Vault makes of all its mounts: each path is there, each operation has a name, a
// summary and a typed answer.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	m := enable(t, ownVault(t), uniqueName(t)) // a mount that is just being disabled fails the document of all
	resp, err := m.client.Logical().ReadRaw("sys/internal/specs/openapi")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var document openAPI
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for path, item := range document.Paths {
		name, ours := strings.CutPrefix(path, "/"+m.path+"/")
		if !ours {
			continue
		}
		for method, raw := range item {
			if !slices.Contains([]string{"get", "post", "patch", "delete"}, method) {
				continue
			}
			got[name] = append(got[name], method)
			var operation openAPIOperation
			if err := json.Unmarshal(raw, &operation); err != nil {
				t.Errorf("%s %s: %v", method, name, err)
				continue
			}
			if operation.Summary == "" || operation.OperationID == "" || len(operation.Responses) == 0 {
				t.Errorf("%s %s: summary, operation id or answers are missing: %s", method, name, raw)
			}
		}
		slices.Sort(got[name])
	}
	want := maps.Clone(documented)
	// The documents of these leave every PATCH out. TestPatch shows that it works.
	if m.IsLine("OpenBao v2.5") || m.IsLine("Vault v1.19") {
		for name, methods := range want {
			want[name] = slices.DeleteFunc(slices.Clone(methods), func(method string) bool { return method == "patch" })
		}
	}
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("the document has\n%v\nwant\n%v", got, want)
	}
}
