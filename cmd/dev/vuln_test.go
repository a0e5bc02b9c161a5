package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestVuln(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer there.Close()
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	const found = "exit 3" // as govulncheck does
	for _, tt := range []struct {
		name, database, required, tool, wantErr string
	}{
		{"nothing is found", there.URL, "", "exit 0", ""},
		{"something is found", there.URL, "", found, "exit status 3"},
		{"the database cannot be reached", gone.URL, "", found, ""},
		{"the database does not answer with an index", broken.URL, "", found, ""},
		{"the database cannot be reached, and must be", gone.URL, "1", "exit 0", "nothing was checked"},
		{"the database is in a directory", "file:///nowhere", "", found, "exit status 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.Mkdir("bin", 0o700); err != nil {
				t.Fatal(err)
			}
			// It is told the database that was asked for.
			script := "#!/bin/sh\n[ \"$1 $2\" = '-db " + tt.database + "' ] || exit 9\n" + tt.tool + "\n"
			if err := os.WriteFile("bin/govulncheck", []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("GOVULNDB", tt.database)
			t.Setenv("VULN_REQUIRED", tt.required)
			err := vuln(t.Context())
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("got error %v, want %q", err, tt.wantErr)
			}
		})
	}
}
