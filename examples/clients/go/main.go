// Command go reads paths of Workfront's API from standard input, one per line, and prints each answer as a line of
// JSON. It needs VAULT_ADDR and VAULT_TOKEN in the environment.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"
)

const workfrontAPI = "attask/api/v22.0"

// maxBody bounds what is read of one answer.
const maxBody = 64 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	vault, err := api.NewClient(nil) // with VAULT_ADDR, VAULT_TOKEN and the like
	if err != nil {
		return err
	}
	w := &workfront{
		vault:     vault,
		tokenPath: cmp.Or(os.Getenv("WORKFRONT_TOKEN_PATH"), "workfront/token"),
		http: &http.Client{
			Timeout: time.Minute,
			// The client would send the header sessionID on to wherever a redirect points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	// After a signal, too.
	defer func() { err = errors.Join(err, w.revoke(context.WithoutCancel(ctx))) }()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case path, more := <-lines:
			if !more {
				return nil
			}
			answer, err := w.get(ctx, path)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%s\n", answer); err != nil {
				return err
			}
		}
	}
}

// workfront calls Workfront with a session under a Vault lease. It is for one goroutine at a time.
type workfront struct {
	vault     *api.Client
	tokenPath string
	http      *http.Client

	secret  *api.Secret          // nil before the first call
	watcher *api.LifetimeWatcher // renews the lease as long as that can be done
}

// get returns one line of JSON. A session can end before its lease: on a 401 a new one is read, once.
func (w *workfront) get(ctx context.Context, path string) ([]byte, error) {
	if w.secret == nil || w.expiring() {
		if err := w.replace(ctx); err != nil {
			return nil, err
		}
	}
	status, body, err := w.call(ctx, path)
	if err == nil && status == http.StatusUnauthorized {
		if err := w.replace(ctx); err != nil {
			return nil, err
		}
		status, body, err = w.call(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("answer of Workfront to %s: status %d", path, status)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, body); err != nil {
		return nil, fmt.Errorf("answer of Workfront to %s: %w", path, err)
	}
	return line.Bytes(), nil
}

// expiring reports whether the watcher has given up: the lease is about to expire, and cannot be renewed any further.
func (w *workfront) expiring() bool {
	select {
	case err := <-w.watcher.DoneCh():
		if err != nil {
			fmt.Fprintln(os.Stderr, "renew lease:", err)
		}
		return true
	default:
		return false
	}
}

func (w *workfront) call(ctx context.Context, path string) (status int, body []byte, err error) {
	base, _ := w.secret.Data["base_url"].(string)
	token, _ := w.secret.Data["access_token"].(string)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+workfrontAPI+"/"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("sessionID", token)
	resp, err := w.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, body, err
}

// replace reads a token and has its lease watched, after it has revoked the lease before it.
func (w *workfront) replace(ctx context.Context) error {
	if err := w.revoke(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err) // the lease expires by itself
	}
	secret, err := w.vault.Logical().ReadWithContext(ctx, w.tokenPath)
	if err != nil {
		return err
	}
	if secret == nil {
		return fmt.Errorf("there is nothing at %s: is the mount there?", w.tokenPath)
	}
	w.secret = secret
	if w.watcher, err = w.vault.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret}); err != nil {
		return err
	}
	go w.watcher.Start()
	return nil
}

// revoke gives the session back, if there is one.
func (w *workfront) revoke(ctx context.Context) error {
	if w.secret == nil {
		return nil
	}
	if w.watcher != nil {
		w.watcher.Stop()
	}
	lease := w.secret.LeaseID
	w.secret, w.watcher = nil, nil
	if err := w.vault.Sys().RevokeWithContext(ctx, lease); err != nil {
		return fmt.Errorf("revoke lease: %w", err)
	}
	return nil
}
