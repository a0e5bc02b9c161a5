package main

import (
	"os"
	"strings"
	"testing"
)

func TestParseRunnable(t *testing.T) {
	tests := map[string]struct {
		page     string
		script   string // "" if nothing is run
		shown    int
		unmarked int
		bare     bool
	}{
		"no block":            {"# Page\n\ntext\n", "", 0, 0, false},
		"a marked block":      {"# Page\n```shell runnable\nvault status\n```\n", "\nbegin 2\nvault status\n", 1, 0, false},
		"sh":                  {"```sh runnable\nx\n```", "begin 1\nx\n", 1, 0, false},
		"a block that is not": {"```shell\nx\n```\n```sh\n```\n", "", 0, 2, false},
		"other languages":     {"```text\nx\n```\n```hcl\nx\n```\n```\nx\n```\n", "", 0, 0, false},
		"a mark in a block":   {"```text\n<!-- test-docs\n```\n", "", 0, 0, false},
		"lines keep their numbers": {
			"```sh runnable\na\n\nb\n```\n\n```sh\nc\n```\n```sh runnable\nd\n```\n",
			"begin 1\na\n\nb\n\n\n\n\n\nbegin 10\nd\n", 2, 1, false,
		},
		"a block in a list": {
			"1. x\n\n   ```sh runnable\n   if a; then\n       b\n   fi\n   ```\n", "\n\nbegin 3\nif a; then\n    b\nfi\n", 1, 0, false,
		},
		"a console": {
			"```console runnable\n$ vault read \\\n    x\nKey  Value\n$ y\n```\n", "begin 1\nvault read \\\n    x\n\ny\n", 1, 0, false,
		},
		"a step that is hidden": {
			"<!-- test-docs\nadd_public_key x\n-->\n```sh runnable\ny\n```\n", "begin 1\nadd_public_key x\n\nbegin 4\ny\n", 1, 0, false,
		},
		"a page in a page": {"````markdown\n```sh runnable\nx\n```\n````\n```sh runnable\ny\n```\n", "\n\n\n\n\nbegin 6\ny\n", 1, 0, false},
		"a span of code":   {"`x`\n``y``\n", "", 0, 0, false},
		"other comments":   {"<!-- for the editor -->\n<!-- test\nx\n-->\n", "", 0, 0, false},
		"no mount":         {"# Page\n<!-- test-docs: no mount -->\n", "", 0, 0, true},
		"placeholders": {
			"<!-- test-docs\nSESSION_ID=5\n-->\n```sh runnable\nread s/SESSION_ID id=YOUR_ID $SESSION_ID ${YOUR_ID} YOUR_ID=3 MY_SESSION_ID\n```\n",
			"begin 1\nSESSION_ID=5\n\nbegin 4\nread s/${SESSION_ID} id=${YOUR_ID} $SESSION_ID ${YOUR_ID} YOUR_ID=3 MY_SESSION_ID\n",
			1, 0, false,
		},
		"a variable that a reader assigns": {"```sh runnable\nX=5\necho X\n```\n", "begin 1\nX=5\necho X\n", 1, 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			page, err := parseRunnable("page.md", tt.page)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(page.script([]string{"YOUR_ID"}), "\n"); got != strings.TrimSuffix(tt.script, "\n") {
				t.Errorf("script: got %q, want %q", got, tt.script)
			}
			if page.shown() != tt.shown || page.unmarked != tt.unmarked || page.bare != tt.bare {
				t.Errorf("got %d blocks, %d not marked, bare %t", page.shown(), page.unmarked, page.bare)
			}
		})
	}
}

func TestParseRunnableRefuses(t *testing.T) {
	tests := map[string]struct{ page, want string }{
		"a block without an end":  {"\n```sh\nx\n", "page.md:2: the block is not closed"},
		"a step without an end":   {"<!-- test-docs\nx\n", "page.md:1: the block is not closed"},
		"a step on the same line": {"<!-- test-docs x -->\n", "page.md:1: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parseRunnable("page.md", tt.page); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRunScript(t *testing.T) {
	tests := map[string]struct {
		page string
		ran  int
		want []string // parts of the error; none if there is none
	}{
		"all well":         {"```sh runnable\ntest YOUR_USER_ID = user\nx=1\n```\n```sh runnable\ntest \"$x\" = 1\n```\n", 2, nil},
		"a failure":        {"```sh runnable\ntrue\n```\n\n```sh runnable\necho told\nfalse\ntrue\n```\n", 1, []string{"page.md:7: exit status 1", "told"}},
		"in a pipe":        {"```sh runnable\nfalse | cat\n```\n", 0, []string{"page.md:2: "}},
		"an unset one":     {"```sh runnable\n\necho $nothing\n```\n", 0, []string{"page.md:1: ", "page.md: line 3: nothing: unbound variable"}},
		"a hidden failure": {"```sh runnable\ntrue\n```\n<!-- test-docs\nfalse\n-->\n", 1, []string{"page.md:5: "}},
		"input":            {"<!-- test-docs\nexec <<<\"$CLIENT_SECRET_IN_WORKFRONT\"\n-->\n```sh runnable\nread -r s\ntest $s = secret\n```\n", 1, nil},
		"no input":         {"```sh runnable\nread -r s\n```\n", 0, []string{"page.md:2: "}},
		"files of a clone": {"```sh runnable\ntest -f examples/policies/reader.hcl\n```\n", 1, nil},
	}
	t.Chdir("../..")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &stage{dir: t.TempDir(), env: os.Environ()}
			page, err := parseRunnable("page.md", tt.page)
			if err != nil {
				t.Fatal(err)
			}
			ran, err := s.runScript(t.Context(), page, &devServer{}, &workfront{UserID: "user", ClientSecret: "secret"})
			if ran != tt.ran || (err == nil) != (tt.want == nil) {
				t.Fatalf("got %d blocks, %v", ran, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}
