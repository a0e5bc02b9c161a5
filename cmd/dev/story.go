package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// story prints command lines as an operator types them, and runs those very lines in the directory of the stage. After
// the first failure it does nothing more; err says what failed.
type story struct {
	ctx   context.Context
	stage *stage
	screen
	env []string // beside the stage's
	err error
}

// screen is where a story is told.
type screen struct {
	out    io.Writer
	styled bool
}

// terminal is standard output, with styles if somebody looks at it.
func terminal() screen {
	info, err := os.Stdout.Stat()
	return screen{out: os.Stdout, styled: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// What the story is told in, as terminals understand it.
const (
	styleText    = "\x1b[36m"
	styleCommand = "\x1b[1m"
	stylePlain   = "\x1b[0m"
)

// print prints text in a style, each line by itself.
func (s screen) print(style, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if s.styled && line != "" {
			line = style + line + stylePlain
		}
		_, _ = fmt.Fprintln(s.out, line)
	}
}

func (s *stage) tell(ctx context.Context, on screen) *story {
	return &story{ctx: ctx, stage: s, screen: on}
}

func (t *story) say(text string) {
	if t.err == nil {
		t.print(styleText, "\n"+text)
	}
}

// run prints a command line and runs it.
func (t *story) run(line string) {
	if t.err != nil {
		return
	}
	t.print(styleCommand, "$ "+line)
	cmd := t.command(line)
	cmd.Stdout, cmd.Stderr = t.out, t.out
	if err := cmd.Run(); err != nil {
		t.err = fmt.Errorf("%s: %w", line, err)
	}
}

// expect runs a command line unseen: what the story claims is checked. It returns what the command printed.
func (t *story) expect(what, line string) string {
	if t.err != nil {
		return ""
	}
	out, err := t.command(line).CombinedOutput()
	if err != nil {
		t.err = fmt.Errorf("expected %s: %s: %w\n%s", what, line, err, out)
	}
	return string(out)
}

// claim fails the story if what it claims does not hold.
func (t *story) claim(what string, holds bool) {
	if t.err == nil && !holds {
		t.err = errors.New("expected " + what)
	}
}

func (t *story) command(line string) *exec.Cmd {
	cmd := exec.CommandContext(t.ctx, "bash", "-eo", "pipefail", "-c", line)
	cmd.Dir = t.stage.dir
	cmd.Env = slices.Concat(t.stage.env, t.env)
	return cmd
}

// decode reads JSON that a command of the story has printed.
func (t *story) decode(text string, into any) {
	if t.err == nil {
		t.err = json.Unmarshal([]byte(text), into)
	}
}

// readFile reads a file that a command of the story has written.
func (t *story) readFile(name string) string {
	if t.err != nil {
		return ""
	}
	content, err := os.ReadFile(t.stage.path(name))
	t.err = err
	return string(content)
}

// registerAndMount is what an operator types to bring the plugin into the server.
func (t *story) registerAndMount(d *devServer) {
	t.run(fmt.Sprintf("%s plugin register -sha256=%s \\\n    secret %s", d.command(), d.pluginSum, pluginName))
	t.run(d.command() + " secrets enable -path=workfront " + pluginName)
}

// quote makes one word of a shell command line.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%_+=:,./-", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
