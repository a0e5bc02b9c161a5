package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxPageLines is the longest a page may be: a longer one has two subjects.
const maxPageLines = 250

// lintDocs checks what people read in the tree at root: words, also those of comments and strings in Go, links with their
// anchors, the length of pages, and that the functions and tests exist that pages name.
func lintDocs(root string) error {
	l := docsLint{root: root, anchors: make(map[string]map[string]bool)}
	tests, err := l.testNames()
	if err != nil {
		return err
	}
	err = l.walk(func(path, text string) {
		if strings.Contains(path, "CHANGELOG") {
			return
		}
		switch filepath.Ext(path) {
		case ".go":
			l.goWords(path, text)
		case ".md":
			l.page(path, text, tests)
			fallthrough
		default:
			l.words(path, 1, text)
		}
	})
	return errors.Join(append(l.faults, err)...)
}

type docsLint struct {
	root    string
	anchors map[string]map[string]bool // by page
	faults  []error
}

func (l *docsLint) fault(path string, line int, format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf("%s:%d: %s", path, line, fmt.Sprintf(format, args...)))
}

// walk visits the pages, the examples and the Go files.
func (l *docsLint) walk(visit func(path, text string)) error {
	skipped := []string{".git", "bin", "node_modules", "testdata"}
	return filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(l.root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		example := strings.HasPrefix(rel, "examples"+string(filepath.Separator)) && filepath.Base(rel) != "package-lock.json"
		if ext := filepath.Ext(rel); ext != ".md" && ext != ".go" && !example {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			visit(rel, string(text))
		}
		return err
	})
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
	namedFunc    = regexp.MustCompile("`([\\w/-]+\\.go):(\\w+)`")
	codeSpan     = regexp.MustCompile("`[^`]*`")
)

// page checks one page.
func (l *docsLint) page(path, text string, tests map[string]bool) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > maxPageLines {
		l.fault(path, len(lines), "the page has more than %d lines: it has two subjects", maxPageLines)
	}
	fenced := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		for _, m := range namedTest.FindAllStringSubmatch(line, -1) {
			if !tests[m[1]] {
				l.fault(path, i+1, "there is no test %s", m[1])
			}
		}
		for _, m := range namedFunc.FindAllStringSubmatch(line, -1) {
			if !l.declares(m[1], m[2]) {
				l.fault(path, i+1, "%s has no function %s", m[1], m[2])
			}
		}
		for _, m := range markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, "x"), -1) {
			if problem := l.link(path, m[1]); problem != "" {
				l.fault(path, i+1, "link %s: %s", m[1], problem)
			}
		}
	}
}

// link returns what is wrong with a link within the repository.
func (l *docsLint) link(path, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := path
	if file != "" {
		to = filepath.Join(filepath.Dir(path), file)
	}
	if _, err := os.Stat(filepath.Join(l.root, to)); err != nil {
		return "there is no such file"
	}
	if anchor != "" && !l.anchorsOf(to)[anchor] {
		return "there is no such heading"
	}
	return ""
}

// declares tells whether a Go file, relative to the root, declares a function or method of that name.
func (l *docsLint) declares(file, name string) bool {
	text, err := os.ReadFile(filepath.Join(l.root, file))
	return err == nil && regexp.MustCompile(`(?m)^func (\([^)]*\) )?`+name+`\b`).Match(text)
}

// anchorsOf returns the anchors that GitHub gives the headings of a page.
func (l *docsLint) anchorsOf(path string) map[string]bool {
	if known, ok := l.anchors[path]; ok {
		return known
	}
	anchors := make(map[string]bool)
	l.anchors[path] = anchors
	file, err := os.Open(filepath.Join(l.root, path))
	if err != nil {
		return anchors
	}
	defer func() { _ = file.Close() }()
	count := make(map[string]int)
	fenced := false
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line := scanner.Text()
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		title := strings.TrimLeft(line, "#")
		if fenced || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		anchor := anchorOf(title)
		if n := count[anchor]; n > 0 {
			anchors[fmt.Sprintf("%s-%d", anchor, n)] = true
		} else {
			anchors[anchor] = true
		}
		count[anchor]++
	}
	return anchors
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchorOf is GitHub's rule: lower case, no punctuation, hyphens for spaces.
func anchorOf(title string) string {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(strings.TrimSpace(title), "$1")
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`)

// testNames returns the names of all tests.
func (l *docsLint) testNames() (map[string]bool, error) {
	names := make(map[string]bool)
	err := filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	return names, err
}
