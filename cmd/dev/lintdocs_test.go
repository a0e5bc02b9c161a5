package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLintDocs(t *testing.T) {
	const page = "# Page\n\n## A `heading`, twice\n\n## A `heading`, twice\n\n"
	tests := map[string]struct {
		files map[string]string
		want  string // part of the error; "" if there is none
	}{
		"links that resolve": {map[string]string{
			"a.md":      page + "[b](docs/b.md#the-end) [self](#a-heading-twice) [again](#a-heading-twice-1) [out](https://example.com/x)",
			"docs/b.md": "# The end\n[a](../a.md)",
		}, ""},
		"a file that is missing":    {map[string]string{"a.md": "x [b](b.md)"}, "a.md:1: link b.md: there is no such file"},
		"a heading that is missing": {map[string]string{"a.md": "\n[b](#nowhere)"}, "a.md:2: link #nowhere: there is no such heading"},
		"a heading in a block":      {map[string]string{"a.md": "```\n# x\n```\n[b](#x)"}, "link #x: there is no such heading"},
		"a link in code":            {map[string]string{"a.md": "`[b](b.md)`\n```\n[b](b.md)\n```"}, ""},
		"a page of 250 lines":       {map[string]string{"a.md": strings.Repeat("x\n", maxPageLines)}, ""},
		"a page of 251 lines":       {map[string]string{"a.md": strings.Repeat("x\n", maxPageLines+1)}, "a.md:251: the page has more"},
		"a word":                    {map[string]string{"a.md": "A lent session"}, `a.md:1: "lent": write issue`},
		"a word in an example":      {map[string]string{"examples/x.hcl": "# parked"}, `examples/x.hcl:1: "parked": write logout pending`},
		"a word in the changelog":   {map[string]string{"CHANGELOG.md": "lent"}, ""},
		"a word within others":      {map[string]string{"a.md": "silent, blend, calendar"}, ""},
		"a word in a comment":       {map[string]string{"x.go": "package x\n\n/* A\n   lent session */"}, `x.go:4: "lent": write issue`},
		"a word in a string":        {map[string]string{"x.go": "package x\n\nconst y = `\nlent`"}, `x.go:4: "lent": write issue`},
		"a word as a name in Go":    {map[string]string{"x.go": "package x\n\nvar parked, lent int"}, ""},
		"functions that exist": {map[string]string{
			"a.md": "`x_test.go:TestX`, `TestX`, `x.go:do`, `x.go:Do`", "x_test.go": "func TestX(", "x.go": "func do(\nfunc (*t) Do(",
		}, ""},
		"a test that is missing":     {map[string]string{"a.md": "`TestX`"}, "a.md:1: there is no test TestX"},
		"a function that is missing": {map[string]string{"a.md": "`x.go:do`", "x.go": "func does("}, "a.md:1: x.go has no function do"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range tt.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := lintDocs(root)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
