package main

import (
	"go/scanner"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// foreignWords are what reads as translated, and what Vault's documentation says instead.
var foreignWords = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\b(lend|lends|lent|lending|borrow\w*|hand(s|ed|ing)?( it| them| one)? out)\b`), "issue, an issued session"},
	{regexp.MustCompile(`(?i)\bthe life of\b`), "lifetime, TTL"},
	{regexp.MustCompile(`(?i)\b(certificates?|leases?) (that |which )?(ends?|has ended|have ended)\b`), "expires, expired"},
	{regexp.MustCompile(`(?i)\bmakes? (a|an|the|another) (new |signing |RSA )*key\b`), "generate, create"},
	{regexp.MustCompile(`(?i)\bwho(ever)? may\b`), "anyone who can"},
	{regexp.MustCompile("(?i)leaves? out, `?config`? gives?\\b"), "unset role fields inherit from config"},
	{regexp.MustCompile(`(?i)\bputs? (the|a) defaults? back\b`), "resets the field to its default"},
	{regexp.MustCompile(`(?i)\bis cut to\b`), "is capped at"},
	{regexp.MustCompile(`(?i)\b(parked|put off|kept to be tried again)\b`), "logout pending, will retry"},
	{regexp.MustCompile(`(?i)\btaken back\b`), "released"},
	{regexp.MustCompile(`(?i)\bwhoever leases\b`), "regardless of its leases"},
	{regexp.MustCompile(`(?i)\b(known to be down|forgiven)\b`), "marked unavailable, retried"},
	{regexp.MustCompile(`(?i)\bcan be gone back to\b`), "so you can roll back"},
	{regexp.MustCompile(`(?i)\bnot at Workfront yet\b`), "not registered in Workfront yet"},
	{regexp.MustCompile(`(?i)\bended by some(one|body) else\b`), "logged out outside Vault"},
	{regexp.MustCompile(`(?i)\bmain story\b`), "core workflow"},
}

// wordsExempt are the files that hold the words on purpose.
var wordsExempt = []string{"cmd/dev/lintwords.go", "cmd/dev/lintdocs_test.go"}

// words checks text that begins at a line.
func (l *docsLint) words(path string, first int, text string) {
	for i, line := range strings.Split(text, "\n") {
		for _, w := range foreignWords {
			if found := w.pattern.FindString(line); found != "" {
				l.fault(path, first+i, "%q: write %s", found, w.instead)
			}
		}
	}
}

// goWords checks the comments and strings of a Go file.
func (l *docsLint) goWords(path, text string) {
	if slices.Contains(wordsExempt, path) {
		return
	}
	files := token.NewFileSet()
	file := files.AddFile(path, -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments) // what does not compile is found by the compiler
	for {
		at, kind, literal := s.Scan()
		switch kind {
		case token.EOF:
			return
		case token.COMMENT, token.STRING:
			l.words(path, file.Line(at), literal)
		default:
		}
	}
}
