package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every module names the toolchain that the plugin's does: what builds a release, and what checks one, is one Go.
func TestModulesNameOneToolchain(t *testing.T) {
	files, err := moduleFiles("../..")
	if err != nil {
		t.Fatal(err)
	}
	want, err := namedToolchain("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if got, err := namedToolchain(filepath.Dir(file)); err != nil || got != want {
			t.Errorf("%s names Go %q (%v), want %s as in go.mod", file, got, err, want)
		}
		if strings.Contains(filepath.ToSlash(file), "test/vault/") {
			t.Errorf("%s is a Vault's", file)
		}
	}
	if len(files) < 5 {
		t.Errorf("found %d modules, want all: %q", len(files), files)
	}
}

func TestNewestPatch(t *testing.T) {
	released := strings.Fields("go 1.9.2rc2 1.26rc1 1.26.0 1.26.2 1.26.10 1.27.0 1.27.1")
	for _, tt := range []struct {
		name, version string
		more          []string
		want, wantErr string
	}{
		{"numbers are compared, not their digits", "1.26.2", nil, "1.26.10", ""},
		{"it is the newest", "1.26.10", nil, "1.26.10", ""},
		{"a newer line is no patch release", "1.26.10", []string{"1.27.2"}, "1.26.10", ""},
		{"a release candidate of the line after the next", "1.26.10", []string{"1.28rc1"}, "1.26.10", ""},
		{"a line that is no longer maintained", "1.26.10", []string{"1.28.0"}, "", "Go 1.26 gets no fixes any more"},
		{"a line that is not listed", "1.30.0", nil, "", "no release of Go 1.30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newestPatch(append(tt.more, released...), tt.version)
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("got %q, error %v; want %q, %q", got, err, tt.want, tt.wantErr)
			}
		})
	}
}
