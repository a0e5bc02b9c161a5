package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// runnablePage is a page of which blocks are run: those that are marked `runnable` after their language, and the steps in
// HTML comments that begin with `<!-- test-docs`, which stand for what a reader does elsewhere, such as in Workfront.
type runnablePage struct {
	name     string
	blocks   []runnableBlock
	unmarked int  // blocks of commands that are not run
	bare     bool // it starts without a mount: the page says `<!-- test-docs: no mount -->`
}

type runnableBlock struct {
	line   int      // of its first fence
	lines  []string // below that line
	hidden bool
}

const (
	hiddenMark = "<!-- test-docs"
	bareMark   = hiddenMark + ": no mount -->"
)

// commandLanguages are those whose blocks hold commands. Of a console, those are the lines after a prompt.
var commandLanguages = []string{"sh", "shell", "bash", "console"}

// parseRunnable finds the blocks of a page.
func parseRunnable(name, text string) (*runnablePage, error) {
	p := &runnablePage{name: name}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		trimmed := strings.TrimSpace(lines[i])
		info := strings.TrimLeft(trimmed, "`")
		end := trimmed[:len(trimmed)-len(info)]
		fence := len(end) >= 3
		switch {
		case trimmed == bareMark:
			p.bare = true
			continue
		case strings.HasPrefix(trimmed, hiddenMark):
			if trimmed != hiddenMark {
				return nil, fmt.Errorf("%s:%d: %q: the steps begin on the next line", name, i+1, trimmed)
			}
			end = "-->"
		case !fence:
			continue
		}
		block := runnableBlock{line: i + 1, hidden: !fence}
		indent, _, _ := strings.Cut(lines[i], trimmed)
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != end; i++ {
			block.lines = append(block.lines, strings.TrimPrefix(lines[i], indent))
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s:%d: the block is not closed", name, block.line)
		}
		words := strings.Fields(info)
		switch {
		case block.hidden:
			p.blocks = append(p.blocks, block)
		case len(words) == 0 || !slices.Contains(commandLanguages, words[0]):
		case !slices.Contains(words[1:], "runnable"):
			p.unmarked++
		default:
			if words[0] == "console" {
				block.lines = typed(block.lines)
			}
			p.blocks = append(p.blocks, block)
		}
	}
	return p, nil
}

// typed keeps what was typed in a console, at its place.
func typed(lines []string) []string {
	kept := make([]string, len(lines))
	continued := false
	for i, line := range lines {
		command, prompt := strings.CutPrefix(line, "$ ")
		if !prompt && !continued {
			continue
		}
		kept[i] = command
		continued = strings.HasSuffix(line, `\`)
	}
	return kept
}

// shown counts the blocks that a reader sees.
func (p *runnablePage) shown() int {
	n := 0
	for _, b := range p.blocks {
		if !b.hidden {
			n++
		}
	}
	return n
}

var assigned = regexp.MustCompile(`^\s*([A-Z][A-Z0-9_]*)=`)

// script is the page as a shell script of as many lines, so that the shell's line numbers are those of the page. Where a
// block begins, it calls the function begin with that line. Placeholders are the given ones, and the variables that
// hidden steps assign; their names in a block stand for their values.
func (p *runnablePage) script(placeholders []string) string {
	placeholders = slices.Clone(placeholders)
	last := 0
	for _, b := range p.blocks {
		last = b.line + len(b.lines)
		for _, line := range b.lines {
			if m := assigned.FindStringSubmatch(line); b.hidden && m != nil {
				placeholders = append(placeholders, m[1])
			}
		}
	}
	lines := make([]string, last)
	for _, b := range p.blocks {
		lines[b.line-1] = fmt.Sprint("begin ", b.line)
		for i, line := range b.lines {
			if !b.hidden {
				line = fillIn(line, placeholders)
			}
			lines[b.line+i] = line
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

var capitals = regexp.MustCompile(`\b[A-Z][A-Z0-9_]*\b`)

// fillIn makes placeholders into variables: not what is a variable already, nor what is assigned.
func fillIn(line string, placeholders []string) string {
	var filled strings.Builder
	at := 0
	for _, m := range capitals.FindAllStringIndex(line, -1) {
		word, before, after := line[m[0]:m[1]], line[:m[0]], line[m[1]:]
		variable := strings.HasSuffix(before, "$") || strings.HasSuffix(before, "{")
		if variable || strings.HasPrefix(after, "=") || !slices.Contains(placeholders, word) {
			continue
		}
		filled.WriteString(line[at:m[0]] + "${" + word + "}")
		at = m[1]
	}
	return filled.String() + line[at:]
}
