package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// apiSample is a request and its response, as the end-to-end test TestSamples has recorded them.
type apiSample struct {
	Method, Pattern, Path string
	Request, Response     json.RawMessage
	Status                int
	Text                  string
}

// apiOperation is an operation of the plugin's OpenAPI document. Method is LIST where the document has a GET with list=true.
type apiOperation struct {
	Method, Pattern string
	*framework.OASOperation
	parameters []apiField
	response   []apiField
	sample     apiSample
}

// apiField is a parameter, or a field of a response.
type apiField struct {
	name, description, kind, fallback, place string
}

// TestDocsAPI: docs/api.md and the pages in docs/api are what the plugin's OpenAPI document and the recorded samples say.
func TestDocsAPI(t *testing.T) {
	operations := apiOperations(t)
	pages := map[string][]apiOperation{}
	for _, o := range operations {
		pages[o.page()] = append(pages[o.page()], o)
	}
	for name, of := range pages {
		wantPage(t, filepath.Join("docs", "api", name+".md"), apiPage(t, name, of))
	}
	wantPage(t, filepath.Join("docs", "api.md"), apiIndex(operations))

	files, err := filepath.Glob(filepath.Join("docs", "api", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, known := pages[strings.TrimSuffix(filepath.Base(file), ".md")]; !known {
			t.Errorf("%s belongs to no path of the plugin; delete it", file)
		}
	}
}

// methodOrder is that of a page: what comes first comes first.
var methodOrder = []string{"LIST", http.MethodPost, http.MethodPatch, http.MethodGet, http.MethodDelete}

// apiOperations are all operations in the order of paths and methods, each with its sample.
func apiOperations(t *testing.T) []apiOperation {
	t.Helper()
	document, _ := newMount(t).must(logical.HelpOperation, "", nil).Data["openapi"].(*framework.OASDocument)
	if document == nil {
		t.Fatal("the help on the mount holds no OpenAPI document")
	}
	samples := apiSamples(t)
	var all []apiOperation
	for path, item := range document.Paths {
		pattern := strings.TrimPrefix(path, "/")
		read := http.MethodGet
		if strings.HasSuffix(pattern, "/") {
			read = "LIST"
		}
		for method, o := range map[string]*framework.OASOperation{
			read: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if o == nil {
				continue
			}
			key := method + " " + pattern
			s, recorded := samples[key]
			if !recorded {
				t.Errorf("no sample of %s; record one in the end-to-end test TestSamples", key)
			}
			delete(samples, key)
			all = append(all, apiOperation{
				Method: method, Pattern: pattern, OASOperation: o, sample: s,
				parameters: apiParameters(document, item, o), response: apiResponse(document, o),
			})
		}
	}
	for key := range samples {
		t.Errorf("a sample of %s, which is no operation", key)
	}
	slices.SortFunc(all, func(a, b apiOperation) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.rank(), b.rank()))
	})
	return all
}

// rank is the place of an operation among those of its path. A GET that takes parameters is the usual way; a POST beside it is
// for clients that cannot send them so.
func (o apiOperation) rank() int {
	if o.Method == http.MethodGet && len(o.Parameters) > 0 {
		return -1
	}
	return slices.Index(methodOrder, o.Method)
}

func apiSamples(t *testing.T) map[string]apiSample {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("test", "testdata", "samples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recorded []apiSample
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	samples := make(map[string]apiSample, len(recorded))
	for _, s := range recorded {
		samples[s.Method+" "+s.Pattern] = s
	}
	return samples
}

// apiParameters are those in the path, those in the query, and the fields of the body: required ones first.
func apiParameters(document *framework.OASDocument, item *framework.OASPathItem, o *framework.OASOperation) []apiField {
	var fields []apiField
	for _, p := range slices.Concat(item.Parameters, o.Parameters) {
		if p.Name == "list" { // the method LIST says so
			continue
		}
		schema := &framework.OASSchema{Type: p.Schema.Type, Default: p.Schema.Default, Description: p.Description}
		if item.Post != nil && p.In == "query" { // the SDK gives the format of a field in a body alone
			schema = resolved(document, item.Post.RequestBody.Content).Properties[p.Name]
		}
		field := fieldOf(p.Name, schema)
		field.place = "in the " + p.In
		fields = append(fields, field)
	}
	if o.RequestBody == nil {
		return fields
	}
	body := resolved(document, o.RequestBody.Content)
	for _, name := range slices.SortedFunc(maps.Keys(body.Properties), func(a, b string) int {
		return cmp.Or(cmp.Compare(order(body, a), order(body, b)), cmp.Compare(a, b))
	}) {
		field := fieldOf(name, body.Properties[name])
		if slices.Contains(body.Required, name) {
			field.place = "required"
		}
		fields = append(fields, field)
	}
	return fields
}

func order(body *framework.OASSchema, name string) int {
	if slices.Contains(body.Required, name) {
		return 0
	}
	return 1
}

func apiResponse(document *framework.OASDocument, o *framework.OASOperation) []apiField {
	response := o.Responses[http.StatusOK]
	if response == nil || response.Content["application/json"] == nil {
		return nil
	}
	body := resolved(document, response.Content)
	var fields []apiField
	for _, name := range slices.Sorted(maps.Keys(body.Properties)) {
		fields = append(fields, fieldOf(name, body.Properties[name]))
	}
	return fields
}

func resolved(document *framework.OASDocument, content framework.OASContent) *framework.OASSchema {
	return document.Components.Schemas[strings.TrimPrefix(content["application/json"].Schema.Ref, "#/components/schemas/")]
}

func fieldOf(name string, schema *framework.OASSchema) apiField {
	f := apiField{name: name, description: schema.Description, kind: schema.Type}
	switch {
	case schema.Format == "date-time":
		f.kind = "time"
	case schema.Format == "duration":
		f.kind = "duration"
	case schema.Type == "array":
		f.kind = "list of " + schema.Items.Type + "s"
	}
	if schema.Default != nil {
		f.fallback = fmt.Sprintf("`%v`", schema.Default)
	}
	if seconds, whole := schema.Default.(int); whole && f.kind == "duration" {
		text := (time.Duration(seconds) * time.Second).String()
		f.fallback = "`" + strings.Replace(strings.Replace(text, "m0s", "m", 1), "h0m", "h", 1) + "`"
	}
	return f
}

// page is the first part of the path: each has a page of its own.
func (o apiOperation) page() string {
	name, _, _ := strings.Cut(o.Pattern, "/")
	return name
}

// path is the path as Vault's documentation writes it.
func (o apiOperation) path() string {
	return "/workfront/" + strings.TrimSuffix(strings.NewReplacer("{", ":", "}", "").Replace(o.Pattern), "/")
}

func (o apiOperation) title() string { return o.Method + " " + o.path() }

// guides are the pages that tell what the reference does not.
var guides = map[string]string{
	"check":    "[Check](../check.md)",
	"config":   "[Configure the mount](../configuration.md)",
	"info":     "[Install and upgrade](../install.md)",
	"keys":     "[Signing keys](../keys.md), [rotation](../rotation.md)",
	"metrics":  "[Monitoring](../monitoring.md)",
	"roles":    "[Roles and sharing](../roles-and-sharing.md)",
	"sessions": "[Leases and sessions](../sessions.md)",
	"token":    "[Leases and sessions](../sessions.md)",
}

func apiPage(t *testing.T, name string, operations []apiOperation) string {
	t.Helper()
	if guides[name] == "" {
		t.Errorf("no guide is named for %s", name)
	}
	var page strings.Builder
	page.WriteString(generatedNote)
	fmt.Fprintf(&page, "# API: %s\n\nPart of the [API reference](../api.md). The guide: %s.\n", name, guides[name])
	shown := map[apiField]bool{} // by name and description
	for _, o := range operations {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n", o.title(), o.Summary)
		if len(o.parameters) > 0 {
			page.WriteString(parameterTable(o.parameters, shown))
		}
		fmt.Fprintf(&page, "\n```shell\n%s\n```\n", sampleRequest(o.sample))
		page.WriteString(sampleResponse(t, o.sample))
		if len(o.response) > 0 {
			page.WriteString(responseTable(o.response, shown))
		}
	}
	return page.String()
}

func parameterTable(fields []apiField, shown map[apiField]bool) string {
	rows, above := newFields(fields, shown)
	var table strings.Builder
	if len(rows) > 0 {
		table.WriteString("\n| parameter | type | default | description |\n|---|---|---|---|\n")
	}
	for _, f := range rows {
		kind := f.kind
		if f.place != "" {
			kind += ", " + f.place
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.name, kind, f.fallback, f.description)
	}
	return table.String() + above("The parameters are described above.")
}

func responseTable(fields []apiField, shown map[apiField]bool) string {
	rows, above := newFields(fields, shown)
	var table strings.Builder
	if len(rows) > 0 {
		table.WriteString("\n| field of the response | type | description |\n|---|---|---|\n")
	}
	for _, f := range rows {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.name, f.kind, f.description)
	}
	return table.String() + above("The fields are described above.")
}

// newFields returns the fields that the page has not described yet, and the sentence about the others: all, if they are all
// fields.
func newFields(fields []apiField, shown map[apiField]bool) (rows []apiField, above func(all string) string) {
	var known []string
	for _, f := range fields {
		key := apiField{name: f.name, description: f.description}
		if shown[key] {
			known = append(known, "`"+f.name+"`")
			continue
		}
		shown[key] = true
		rows = append(rows, f)
	}
	return rows, func(all string) string {
		switch {
		case len(known) == 0:
			return ""
		case len(rows) == 0:
			return "\n" + all + "\n"
		default:
			return "\nDescribed above: " + strings.Join(known, ", ") + ".\n"
		}
	}
}

// sampleRequest is the command that sends the request of a sample.
func sampleRequest(s apiSample) string {
	parts := []string{`curl --header "X-Vault-Token: $VAULT_TOKEN"`}
	if s.Method != http.MethodGet {
		parts[0] += " --request " + s.Method
	}
	if s.Method == http.MethodPatch {
		parts = append(parts, "--header 'Content-Type: application/merge-patch+json'")
	}
	if len(s.Request) > 0 {
		parts = append(parts, "--data '"+indented(s.Request, "    ")+"'")
	}
	parts = append(parts, `"$VAULT_ADDR/v1/`+s.Path+`"`)
	return strings.Join(parts, " \\\n    ")
}

// sampleResponse is the response of a sample.
func sampleResponse(t *testing.T, s apiSample) string {
	t.Helper()
	switch {
	case s.Text != "":
		return "\n```text\n" + s.Text + "```\n"
	case len(s.Response) > 0:
		return "\n```json\n" + indented(s.Response, "") + "\n```\n"
	case s.Status == http.StatusNoContent:
		return "\nThe response is a 204 without a body.\n"
	default:
		t.Errorf("%s %s: a sample with status %d and no response", s.Method, s.Path, s.Status)
		return ""
	}
}

func indented(text json.RawMessage, prefix string) string {
	var out bytes.Buffer
	if json.Indent(&out, text, prefix, "  ") != nil {
		return string(text)
	}
	return out.String()
}

const apiIntroduction = `# API reference

Every path of the plugin, with its parameters, and with samples that were recorded from a real Vault. Paths are
relative to the mount, here ` + "`workfront/`" + `; ` + "`vault path-help workfront/config`" + ` describes one on the command line.

- ` + "`vault write`" + ` is a POST, ` + "`vault list`" + ` a LIST, ` + "`vault read`" + ` a GET.
- Durations are whole seconds, ten years at most. They are sent like ` + "`90s`, `15m` or `1h`" + `, or as a number of
  seconds, and returned as a number of seconds. Times are in UTC (RFC 3339).
- A field that does not exist is ignored, with a warning: look at ` + "`warnings`" + `. With a warning, a 204 becomes
  a 200.
- Vault adds ` + "`request_id`, `auth`, `wrap_info`" + ` and more to each response. The samples leave them out, and show IDs,
  times, tokens and certificates by placeholders.
- A path that holds nothing is a 404 without a text. [Errors](errors.md) lists the texts, with what to do about each.

| method | path | what it does |
|---|---|---|
`

func apiIndex(operations []apiOperation) string {
	var page strings.Builder
	page.WriteString(generatedNote + apiIntroduction)
	for _, o := range operations {
		anchor := strings.NewReplacer(" ", "-", "/", "", ":", "").Replace(strings.ToLower(o.title()))
		fmt.Fprintf(&page, "| %s | [`%s`](api/%s.md#%s) | %s |\n", o.Method, o.path(), o.page(), anchor, o.Summary)
	}
	return page.String()
}
