package main

import (
	"io/fs"
	"os"
	"regexp"
	"testing"
)

// quotedByHand finds a value that a template puts between quotes itself, with its JSON name in front: a value that holds
// a quote or a backslash forges what follows. toJSON quotes it.
var quotedByHand = regexp.MustCompile(`"\s*:\s*"\{\{[^"]*\.Data`)

func TestExamplesQuoteWithToJSON(t *testing.T) {
	err := fs.WalkDir(os.DirFS("."), "examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if found := quotedByHand.Find(text); found != nil {
			t.Errorf("%s: got %q, want the value quoted by toJSON", path, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
