package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someFigures = `{
  "shared": [
    {"storage": "memory", "clients": 1, "engine": "shared", "reads_per_second": 500},
    {"storage": "memory", "clients": 16, "engine": "shared", "reads_per_second": 2000},
    {"storage": "memory", "clients": 1, "engine": "lean put", "reads_per_second": 510},
    {"storage": "memory", "clients": 16, "engine": "lean put", "reads_per_second": 1900}],
  "latency": [{"load": "1 client", "p50_ms": 4.2, "signature_ms": 0.9, "post_ms": 1.1, "lean_ms": 2}],
  "revocation": [
    {"way": "sync", "engine": "shared", "leases": 10000, "seconds": 6},
    {"way": "in the background", "engine": "shared", "leases": 10000, "seconds": 5}],
  "scale": [{"leases": 10, "engine": "shared", "reads_per_second": 2000, "memory_bytes": 3e7}]
}`

// A run of some parts draws what it has, and leaves the other files alone.
func TestRunDrawsWhatWasMeasured(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "figures.json")
	if err := os.WriteFile(from, []byte(someFigures), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(from, dir); err != nil {
		t.Fatal(err)
	}
	for file, words := range map[string][]string{
		"throughput-memory.svg": {"shared", "lean put", "clients"},
		"latency.svg":           {"1 client", "signature"},
		"revocation.svg":        {"Revocation of 10000 leases", "in the background"},
		"scale-reads.svg":       {"live leases"},
		"scale-memory.svg":      {"MiB"},
	} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		decoder := xml.NewDecoder(strings.NewReader(string(content)))
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s is no XML: %v", file, err)
		}
		for _, word := range words {
			if !strings.Contains(string(content), word) {
				t.Errorf("%s lacks %q", file, word)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "throughput-raft.svg")); !os.IsNotExist(err) {
		t.Errorf("throughput-raft.svg without figures: got %v, want no file", err)
	}
}

func TestRunRefusesWhatIsNoJSON(t *testing.T) {
	from := filepath.Join(t.TempDir(), "figures.json")
	if err := os.WriteFile(from, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(from, t.TempDir()); err == nil || !strings.Contains(err.Error(), from) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}
