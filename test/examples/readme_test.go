//go:build e2e

package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blocks are the commands of an example's page that a reader can type as they are: the blocks marked sh. (Those marked text
// need something that is not here, such as systemd or a Kubernetes.)
func blocks(t *testing.T, folder string) []string {
	t.Helper()
	return blocksOf(t, example(t, folder+"/README.md"))
}

// blocksOf are the blocks of a page's text.
func blocksOf(t *testing.T, rest string) []string {
	t.Helper()
	var found []string
	for {
		_, after, more := strings.Cut(rest, "\n```sh\n")
		if !more {
			return found
		}
		block, after, closed := strings.Cut(after, "\n```\n")
		if !closed {
			t.Fatal("a block of commands is not closed")
		}
		found = append(found, block)
		rest = after
	}
}

// page runs the commands of an example's page, one block after the other, in a copy of its folder.
type page struct {
	rig  *rig
	name string   // of its file
	dir  string   // the copy
	left []string // blocks that were not run yet
	env  []string
	swap *strings.Replacer // paths of a real machine for those of the test
}

// openPage copies an example's files. Pairs are strings of the commands and files, and what stands for them in the test.
func (r *rig) openPage(t *testing.T, folder string, pairs ...string) *page {
	t.Helper()
	p := r.newPage(t, folder+"/README.md", blocks(t, folder), pairs...)
	p.dir = r.path("page-" + filepath.Base(folder))
	source := exampleDir(t, folder)
	err := filepath.WalkDir(source, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		target := filepath.Join(p.dir, relative)
		if entry.IsDir() {
			if entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, []byte(p.swap.Replace(string(content))), info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newPage is a page without files.
func (r *rig) newPage(t *testing.T, name string, blocks []string, pairs ...string) *page {
	t.Helper()
	return &page{rig: r, name: name, dir: r.dir, left: blocks, swap: strings.NewReplacer(pairs...)}
}

// next runs the next block, which has to hold this text, and returns what it printed.
func (p *page) next(t *testing.T, holds string) string {
	t.Helper()
	if len(p.left) == 0 || !strings.Contains(p.left[0], holds) {
		t.Fatalf("%s: the next block should hold %q: %q", p.name, holds, p.left)
	}
	block := p.left[0]
	p.left = p.left[1:]
	return run(t, p.shell(t, p.swap.Replace(block)))
}

func (p *page) shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	return p.command(t, "bash", "-euo", "pipefail", "-c", script)
}

func (p *page) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.rig.command(t, "", name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// end checks that no block was forgotten.
func (p *page) end(t *testing.T) {
	t.Helper()
	for _, block := range p.left {
		t.Errorf("%s: nothing runs this block:\n%s", p.name, block)
	}
}
