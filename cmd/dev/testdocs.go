package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// documentedHost is the Workfront of the pages. In a run of theirs, the simulator answers under that name.
const documentedHost = "acme.my.workfront.com"

// pagePatience is far above what a page takes.
const pagePatience = 3 * time.Minute

// testDocs runs the marked blocks of README.md and docs/*.md, or of the pages that are named: each page in one shell, with
// a server, a simulator and a directory of its own. Blocks of examples/ are run by test/examples.
func testDocs(ctx context.Context, names []string) error {
	if len(names) == 0 {
		docs, err := filepath.Glob("docs/*.md")
		if err != nil {
			return err
		}
		names = append([]string{"README.md"}, docs...)
	}
	var pages []*runnablePage
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		page, err := parseRunnable(name, string(text))
		if err != nil {
			return err
		}
		pages = append(pages, page)
	}
	which, err := anyServer(ctx)
	if err != nil {
		return err
	}
	return runPages(ctx, which, pages)
}

// pagesAtATime is how many servers run: they mostly wait.
const pagesAtATime = 3

// runPages runs the pages, and tells of each when it is done.
func runPages(ctx context.Context, which server, pages []*runnablePage) error {
	begun := time.Now()
	var (
		mu            sync.Mutex // guards what follows, and the output
		failures      []error
		ran, unmarked int
		running       sync.WaitGroup
	)
	turns := make(chan struct{}, pagesAtATime)
	for _, page := range pages {
		unmarked += page.unmarked
		if page.shown() == 0 {
			continue
		}
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-turns }()
			pageBegun := time.Now()
			n, err := runPage(ctx, which, page)
			mu.Lock()
			defer mu.Unlock()
			ran += n
			failures = append(failures, err)
			fmt.Printf("%-28s %2d of %2d blocks ran in %.1fs, %d are not marked\n",
				page.name, n, page.shown(), time.Since(pageBegun).Seconds(), page.unmarked)
		})
	}
	running.Wait()
	for _, page := range pages {
		if page.shown() == 0 && page.unmarked > 0 {
			fmt.Printf("%-28s no block is marked, %d are not\n", page.name, page.unmarked)
		}
	}
	fmt.Printf("%d blocks ran in %.0fs, %d are not marked as runnable\n", ran, time.Since(begun).Seconds(), unmarked)
	return errors.Join(append(failures, ctx.Err())...)
}

// runPage runs the blocks of a page, and returns how many of those that a reader sees succeeded.
func runPage(ctx context.Context, which server, page *runnablePage) (ran int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pagePatience, fmt.Errorf("not done within %s", pagePatience))
	defer cancel()
	s, err := newStage()
	if err != nil {
		return 0, err
	}
	defer s.close()
	w, err := s.startSimulator(ctx, "-tls-name", documentedHost)
	if err != nil {
		return 0, err
	}
	address, err := url.Parse(w.BaseURL)
	if err != nil {
		return 0, err
	}
	g, err := startGateway(ctx, documentedHost+":443", address.Host)
	if err != nil {
		return 0, err
	}
	defer g.close()
	// The server, its plugin and the commands reach the simulator by the name on the pages, and nothing else but loopback.
	ca := s.path("ca.pem")
	s.env = append(s.env, "HTTPS_PROXY="+g.url, "https_proxy="+g.url, "HTTP_PROXY="+g.url, "http_proxy="+g.url,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost", "SSL_CERT_FILE="+ca, "CURL_CA_BUNDLE="+ca)
	w.BaseURL, w.CACertFile = "https://"+documentedHost, ""
	if err := os.WriteFile(s.path("client-secret"), []byte(w.ClientSecret), 0o600); err != nil {
		return 0, err
	}
	plugin, sum, err := builtPlugin()
	if err != nil {
		return 0, err
	}
	d, err := s.startServer(ctx, which, plugin, sum)
	if err != nil {
		return 0, err
	}
	// Pages about the other product name its command.
	for _, name := range []string{"vault", "bao"} {
		if err := os.Symlink(which.path, filepath.Join(d.binDir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return 0, err
		}
	}
	if !page.bare {
		var told bytes.Buffer
		t := s.tell(ctx, screen{out: &told})
		t.configureDev(d, w, true, false)
		if t.err != nil {
			return 0, fmt.Errorf("%s: set up the mount: %w\n%s", page.name, t.err, told.String())
		}
	}
	return s.runScript(ctx, page, d, w)
}

// prelude is run before a page. Functions stand for what a reader does in Workfront.
const prelude = `set -Eeuo pipefail
trap 'echo "$LINENO" >"$RUN_DIR/line"' ERR
begin() {
  echo "$1" >>"$RUN_DIR/begun"
  exec >"$RUN_DIR/output" 2>&1
}
add_public_key() {
  curl --silent --show-error --fail --data-binary "@$1" \
    "https://` + documentedHost + `/simulator/applications/$YOUR_CLIENT_ID/public-keys?user_id=$YOUR_USER_ID"
}
mount() {
  vault plugin register -sha256="$(sha256sum "$PLUGIN_DIR/` + pluginName + `" | cut -d ' ' -f 1)" secret ` + pluginName + `
  vault secrets enable -path=workfront ` + pluginName + `
}
set_fault() {
  curl --silent --show-error --fail --data "$1" https://` + documentedHost + `/simulator/faults
}
source "$1"
begin 0
`

func (s *stage) runScript(ctx context.Context, page *runnablePage, d *devServer, w *workfront) (ran int, err error) {
	script, run, work := s.path("pages/"+page.name), s.path("run"), s.path("work")
	for _, dir := range []string{filepath.Dir(script), run, work} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return 0, err
		}
	}
	placeholders := []string{"YOUR_CLIENT_ID", "YOUR_CUSTOMER_ID", "YOUR_USER_ID"}
	if err := os.WriteFile(script, []byte(page.script(placeholders)), 0o600); err != nil {
		return 0, err
	}
	// What a reader has from the clone.
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS("examples")); err != nil {
		return 0, err
	}
	bin, err := filepath.Abs("bin")
	if err == nil {
		err = os.Symlink(bin, filepath.Join(work, "bin"))
	}
	if err != nil {
		return 0, err
	}
	shell := exec.CommandContext(ctx, "bash", "-c", prelude, "bash", script)
	shell.Dir = work
	shell.Env = slices.Concat(s.env, []string{
		"HOME=" + work, "RUN_DIR=" + run, "PLUGIN_DIR=" + filepath.Dir(d.pluginFile), "CLIENT_SECRET_IN_WORKFRONT=" + w.ClientSecret,
		"YOUR_CLIENT_ID=" + w.ClientID, "YOUR_CUSTOMER_ID=" + w.CustomerID, "YOUR_USER_ID=" + w.UserID,
	})
	shell.WaitDelay = 10 * time.Second
	failure := shell.Run()
	begun, err := os.ReadFile(filepath.Join(run, "begun"))
	if err != nil {
		return 0, fmt.Errorf("%s: %w (%w)", page.name, failure, err)
	}
	at := strings.Fields(string(begun))
	current := at[len(at)-1]
	for _, b := range page.blocks {
		if !b.hidden && slices.Contains(at, fmt.Sprint(b.line)) && (failure == nil || fmt.Sprint(b.line) != current) {
			ran++
		}
	}
	if failure == nil {
		return ran, nil
	}
	if ctx.Err() != nil {
		failure = context.Cause(ctx)
	}
	if line, err := os.ReadFile(filepath.Join(run, "line")); err == nil {
		current = strings.TrimSpace(string(line))
	}
	output, err := os.ReadFile(filepath.Join(run, "output"))
	return ran, errors.Join(fmt.Errorf("%s:%s: %w\n%s", page.name, current, failure,
		strings.ReplaceAll(string(output), s.path("pages")+"/", "")), err)
}
