package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const demoFile = "docs/images/demo.svg"

// demoSVG draws a run of the demo.
func demoSVG(ctx context.Context) error {
	var told bytes.Buffer
	if err := demo(ctx, screen{out: &told, styled: true}); err != nil {
		return fmt.Errorf("%w\n%s", err, told.String())
	}
	text := shorten(told.String())
	// Nothing of the machine that drew it.
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	for _, place := range []string{wd, os.TempDir() + "/", os.Getenv("HOME") + "/"} {
		if strings.Contains(text, place) {
			return errors.New("the demo printed a path of this machine: " + place)
		}
	}
	if err := os.MkdirAll(filepath.Dir(demoFile), 0o755); err != nil { // as git does
		return err
	}
	return os.WriteFile(demoFile, []byte(drawTerminal(parseScreen(text))), 0o644)
}

var longIDs = regexp.MustCompile(`\b([0-9a-f]{8})[0-9a-f]{12,}\b|(token/(?:\w+/)?[0-9A-Za-z]{8})[0-9A-Za-z]{16}\b`)

// shorten cuts tokens, IDs and checksums, which say nothing to who looks at a picture.
func shorten(text string) string { return longIDs.ReplaceAllString(text, "$1$2…") }

// screenLine is a line of a terminal.
type screenLine struct {
	style string // "" for what a command prints
	text  string
}

// parseScreen reads what a story printed, in lines of the terminal's width.
func parseScreen(text string) []screenLine {
	var lines []screenLine
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		l := screenLine{text: line}
		for _, style := range []string{styleText, styleCommand} {
			if styled, ok := strings.CutPrefix(line, style); ok {
				l = screenLine{style, strings.TrimSuffix(styled, stylePlain)}
			}
		}
		for runes := []rune(l.text); len(runes) > terminalColumns; runes = []rune(l.text) {
			lines = append(lines, screenLine{l.style, string(runes[:terminalColumns])})
			l.text = string(runes[terminalColumns:])
		}
		lines = append(lines, l)
	}
	return lines
}

// The terminal, in characters and in pixels of the picture.
const (
	terminalColumns = 104
	terminalRows    = 30
	characterWidth  = 8.0
	lineHeight      = 18
	fontSize        = 13.3 // a monospaced character is 0.6 of it wide
	margin          = 16
	titleBar        = 34
)

// Seconds that a line stays the last one. At the end the whole of it stays.
const (
	pauseText    = 0.7
	pauseCommand = 0.9
	pauseOutput  = 0.12
	pauseBlank   = 0.5
	pauseEnd     = 8.0
)

var classes = map[string]string{styleText: "t", styleCommand: "c", "": "o"}

// drawTerminal is an SVG without script: lines appear one after the other by CSS, and the first ones scroll away. A viewer
// that does not animate shows the beginning.
func drawTerminal(lines []screenLine) string {
	begins := make([]float64, len(lines))
	now := 0.5
	for i, l := range lines {
		begins[i] = now
		switch {
		case l.style == styleText:
			now += pauseText
		case l.style == styleCommand:
			now += pauseCommand
		case l.text == "":
			now += pauseBlank
		default:
			now += pauseOutput
		}
	}
	total := now + pauseEnd
	percent := func(at float64) string { return fmt.Sprintf("%.2f%%", 100*at/total) }

	var frames, body strings.Builder
	scroll := "0%{transform:none}"
	for i, l := range lines {
		fmt.Fprintf(&frames, "@keyframes l%d{0%%{opacity:0}%s{opacity:1}}\n", i, percent(begins[i]))
		if l.text != "" {
			fmt.Fprintf(&body, `<text class="%s" y="%d" style="animation-name:l%d">%s</text>`+"\n",
				classes[l.style], (i+1)*lineHeight-4, i, html.EscapeString(l.text))
		}
		if hidden := i + 1 - terminalRows; hidden > 0 {
			scroll += fmt.Sprintf("%s{transform:translateY(-%dpx)}", percent(begins[i]), hidden*lineHeight)
		}
	}
	width, height := int(terminalColumns*characterWidth)+2*margin, terminalRows*lineHeight+titleBar+margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s">
<!-- Drawn by make demo-svg from a run of make demo. -->
<title>%[3]s</title>
<style>
text{font:%[4]gpx ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;white-space:pre;
animation:%.1[5]fs step-end infinite}
.scroll{animation:scroll %.1[5]fs step-end infinite}
.t{fill:#7ee0ff}.c{fill:#fff;font-weight:700}.o{fill:#c3cad3}.n{fill:#8b949e;animation:none}
@media (prefers-reduced-motion:reduce){text,.scroll{animation:none}}
@keyframes scroll{%[6]s}
%[7]s</style>
<rect width="%[1]d" height="%[2]d" rx="10" fill="#0d1117"/>
<circle cx="20" cy="17" r="6" fill="#ff5f56"/><circle cx="40" cy="17" r="6" fill="#ffbd2e"/><circle cx="60" cy="17" r="6" fill="#27c93f"/>
<text class="n" x="%[8]d" y="21" text-anchor="middle">make demo</text>
<svg x="%[9]d" y="%[10]d" width="%[11]d" height="%[12]d">
<g class="scroll" xml:space="preserve">
%[13]s</g>
</svg>
</svg>
`, width, height, "make demo: register the plugin, read a token, use it, revoke its lease", fontSize, total, scroll, frames.String(),
		width/2, margin, titleBar, width-2*margin, terminalRows*lineHeight, body.String())
}
