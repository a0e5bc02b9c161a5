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
	out   io.Writer
	env   []string // beside the stage's
	bold  string
	plain string
	err   error
}

// tell begins a story on standard output.
func (s *stage) tell(ctx context.Context) *story {
	t := &story{ctx: ctx, stage: s, out: os.Stdout}
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		t.bold, t.plain = "\x1b[1m", "\x1b[0m"
	}
	return t
}

func (t *story) say(text string) {
	if t.err == nil {
		_, _ = fmt.Fprintf(t.out, "\n%s\n", text)
	}
}

// run prints a command line and runs it.
func (t *story) run(line string) {
	if t.err != nil {
		return
	}
	_, _ = fmt.Fprintf(t.out, "%s$ %s%s\n", t.bold, line, t.plain)
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
	t.run(fmt.Sprintf("%s plugin register -sha256=%s secret %s", d.command(), d.pluginSum, pluginName))
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
