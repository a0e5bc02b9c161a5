package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// vulnerabilityDatabase is Go's: https://go.dev/doc/security/vuln/database. GOVULNDB names another one.
const vulnerabilityDatabase = "https://vuln.go.dev"

// vuln fails if the plugin, or a command of this module, calls code with a known vulnerability. If the database cannot
// be reached, it says so and passes, unless VULN_REQUIRED is set: a machine without Internet has to get through
// .ci/run, and a network fault should not stop a change. The weekly job requires it.
func vuln(ctx context.Context) error {
	database := os.Getenv("GOVULNDB")
	if database == "" {
		database = vulnerabilityDatabase
	}
	if err := reachDatabase(ctx, database); err != nil {
		err = fmt.Errorf("the vulnerability database cannot be reached, so nothing was checked: %w", err)
		if os.Getenv("VULN_REQUIRED") != "" {
			return err
		}
		fmt.Println("govulncheck:", err)
		return nil
	}
	return passThrough(ctx, os.Environ(), filepath.Join("bin", "govulncheck"), "-db", database, "./...")
}

// reachDatabase asks for what govulncheck asks for first. A database in a directory (file://) is left to govulncheck.
func reachDatabase(ctx context.Context, database string) error {
	if !strings.HasPrefix(database, "http") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, database+"/index/modules.json.gz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	return nil
}
