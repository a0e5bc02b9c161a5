package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestShorten(t *testing.T) {
	tests := map[string]string{
		`"access_token": "0e027c3fa347053edd79c2996a2482e7"`:  `"access_token": "0e027c3f…"`,
		"user_id=be9277ef15123db85d074e48d485785c'":           "user_id=be9277ef…'",
		"workfront/token/jRrmq2X6UBYNibSkleqexf9J":            "workfront/token/jRrmq2X6…",
		"workfront/token/reports/EQ2bNTRqhRIpCdKBoZskWCx4":    "workfront/token/reports/EQ2bNTRq…",
		"fc8e4cc6-f422-9076-09d8-6278b4a08282 deadbeef token": "fc8e4cc6-f422-9076-09d8-6278b4a08282 deadbeef token",
	}
	for text, want := range tests {
		if got := shorten(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestParseScreen(t *testing.T) {
	var told bytes.Buffer
	on := screen{out: &told, styled: true}
	on.print(styleText, "\n1. Do it.\n   Now:")
	on.print(styleCommand, "$ a \\\n    b")
	told.WriteString("\x1b not a style\n" + strings.Repeat("ä", terminalColumns+1) + "\n")
	got := parseScreen(told.String())
	want := []screenLine{
		{styleText, "1. Do it."},
		{styleText, "   Now:"},
		{styleCommand, `$ a \`},
		{styleCommand, "    b"},
		{"", "\x1b not a style"},
		{"", strings.Repeat("ä", terminalColumns)},
		{"", "ä"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScreenWithoutStyles(t *testing.T) {
	var told bytes.Buffer
	screen{out: &told}.print(styleText, "a\n\nb")
	if told.String() != "a\n\nb\n" {
		t.Errorf("got %q", told.String())
	}
}

func TestDrawTerminal(t *testing.T) {
	lines := []screenLine{{styleCommand, `$ a <<< "x & y"`}, {"", ""}}
	for range terminalRows {
		lines = append(lines, screenLine{"", "  z"})
	}
	got := drawTerminal(lines)
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"$ a &lt;&lt;&lt; &#34;x &amp; y&#34;</text>", ">  z</text>", "translateY(-36px)"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in %s", want, got)
		}
	}
	for _, not := range []string{"%!", "<script", "translateY(-54px)"} {
		if strings.Contains(got, not) {
			t.Errorf("there is %s in %s", not, got)
		}
	}
}
