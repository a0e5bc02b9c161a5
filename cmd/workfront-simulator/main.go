// Command workfront-simulator runs a strict stand-in for Adobe Workfront as a process: one OAuth2 application and one
// user, over TLS on a loopback address.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const usage = `workfront-simulator simulates Adobe Workfront's OAuth2 JWT flow for tests and demonstrations.

  workfront-simulator -dir DIR [flags]

It generates a CA, an OAuth2 application and a user, serves TLS on a loopback address, and writes to DIR:

  ca.pem            the CA that signed its certificate
  simulator.json    base_url, ca_cert_file, client_id, client_secret, customer_id, user_id;
                    written once it accepts connections, removed when it exits (SIGINT or SIGTERM)

No public key is registered at first. An administration API below base_url stands in for Workfront's Setup, injects
faults and changes the behavior. Anyone who can reach the address can use it:

  POST   /simulator/applications/CLIENT_ID/public-keys?user_id=USER_ID
             registers the certificate or public key (PEM) in the body
  GET    /simulator/stats
             counts sessions, calls, and calls refused with a 429
  POST   /simulator/faults       {"endpoint":"exchange","times":1,"status":503,"header":{"Retry-After":"1"}}
             makes requests fail; "gateway" in place of "status" answers with a 401 that is not Workfront's, "page" or "json"
  DELETE /simulator/faults
             removes all faults
  PUT    /simulator/behaviour    {"expires_in":3600,"exchange_delay":"2s","max_calls":4,"retired_versions":["v17.0"]}
             changes the behavior: a field for each flag below but -dir, -listen, -session-ttl and -tls-name, with underscores
             for hyphens and a list for -retired-versions; unset fields reset to what the flags say

For example: curl --cacert DIR/ca.pem --data-binary @certificate_pub.crt "BASE_URL/simulator/applications/..."

It logs each request to standard error: method, path, status, and why it was refused. It never logs secrets.

Durations are numbers with a unit, such as 90s, 15m or 1h30m.

Flags:
`

// description is simulator.json: all that a client needs.
type description struct {
	BaseURL      string `json:"base_url"`
	CACertFile   string `json:"ca_cert_file"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	CustomerID   string `json:"customer_id"`
	UserID       string `json:"user_id"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 when ctx ended it, 1 when it failed, 2 for wrong usage.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("workfront-simulator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	listen := flags.String("listen", "127.0.0.1:0", "loopback `address` to listen on; port 0 takes a free one")
	dir := flags.String("dir", "", "`directory` for ca.pem and simulator.json (required); created if it does not exist")
	sessionTTL := flags.Duration("session-ttl", 30*time.Minute, "`duration` after which a session expires, however much it is used")
	tlsName := flags.String("tls-name", "", "`name` in the certificate instead of those of loopback, for clients that come through a proxy")
	behaviour := workfronttest.DefaultBehaviour()
	behaviour.Flags(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	problem := ""
	senseless := behaviour.Validate()
	switch {
	case flags.NArg() > 0:
		problem = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case *dir == "":
		problem = "-dir is required"
	case *sessionTTL <= 0:
		problem = "-session-ttl must be above 0"
	case senseless != nil:
		problem = senseless.Error()
	}
	if problem != "" {
		_, _ = fmt.Fprintf(stderr, "workfront-simulator: %s; see -h\n", problem)
		return 2
	}
	log := &syncWriter{w: stderr}
	options := workfronttest.Options{
		Addr:       *listen,
		SessionTTL: *sessionTTL,
		Behaviour:  &behaviour,
		Admin:      true,
		Log:        func(r workfronttest.Request) { logRequest(log, r) },
	}
	if *tlsName != "" {
		options.TLS.DNSNames = []string{*tlsName}
	}
	if err := serve(ctx, *dir, options, log); err != nil {
		_, _ = fmt.Fprintf(stderr, "workfront-simulator: %v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, dir string, options workfronttest.Options, log io.Writer) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	server, err := workfronttest.StartIntegration(options)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer server.Close()
	caFile := filepath.Join(dir, "ca.pem")
	if err := writeFile(caFile, []byte(server.CACert())); err != nil {
		return err
	}
	data, err := json.MarshalIndent(description{
		BaseURL:      server.URL(),
		CACertFile:   caFile,
		ClientID:     server.App.ClientID,
		ClientSecret: server.App.ClientSecret,
		CustomerID:   server.App.CustomerID,
		UserID:       server.User.ID,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("marshal description: %w", err)
	}
	file := filepath.Join(dir, "simulator.json")
	if err := writeFile(file, append(data, '\n')); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	_, _ = fmt.Fprintf(log, "listening on %s, described in %s\n", server.URL(), file)
	<-ctx.Done()
	return nil
}

// writeFile writes a file that appears whole or not at all, for its owner alone.
func writeFile(name string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// logRequest writes one line. The path is quoted: it is whatever a client sent.
func logRequest(w io.Writer, r workfronttest.Request) {
	status := "no answer"
	if r.Status != 0 {
		status = fmt.Sprint(r.Status)
	}
	why := ""
	if r.Refusal != "" {
		why = " (" + r.Refusal + ")"
	}
	_, _ = fmt.Fprintf(w, "%s %q %s%s\n", r.Method, r.Path, status, why)
}

// syncWriter keeps the lines of concurrent requests apart.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
