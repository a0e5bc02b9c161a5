package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLintLinks(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/here", http.StatusMovedPermanently)
		case "/here":
		default:
			http.NotFound(w, r)
		}
	}))
	defer elsewhere.Close()
	tests := map[string]struct{ page, want string }{
		"pages that are there": {"[a](U/here) [b](U/here#part) [c](U/moved) [d](other.md)", ""},
		"a page that is not":   {"\n[a](U/gone#part)", "page.md:2: link U/gone: 404 Not Found"},
		"a link in code":       {"`[a](U/gone)`\n```\n[a](U/gone)\n```\n", ""},
		"no server":            {"[a](http://127.0.0.1:1/)", "page.md:1: link http://127.0.0.1:1/: dial"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			here := strings.NewReplacer("U/", elsewhere.URL+"/")
			if err := os.WriteFile(filepath.Join(root, "page.md"), []byte(here.Replace(tt.page)), 0o600); err != nil {
				t.Fatal(err)
			}
			err := lintLinks(t.Context(), root)
			if want := here.Replace(tt.want); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
