package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// envProfileDir is where a plugin built with -tags profile listens. Vault and the plugin inherit it.
const envProfileDir = "WORKFRONT_PROFILE_DIR"

// profileLasts is how long a profile is taken.
const profileLasts = 10 * time.Second

// profiles takes processor profiles of the plugin under load.
func (b *bench) profiles() error {
	b.section("Profiles", fmt.Sprintf("Processor time of the plugin over %s, with 16 clients.", profileLasts))
	r, err := b.newRig(shared, fresh)
	if err != nil {
		return err
	}
	defer r.vault.Stop()
	for _, e := range []engine{shared, fresh} {
		if _, err := r.read(e.path, load{clients: 16, requests: 500}); err != nil {
			return err
		}
		p, err := r.process(e)
		if err != nil {
			return err
		}
		file := filepath.Join(b.profile, "profile-"+e.mount+".pprof")
		done := make(chan error, 1)
		go func() { done <- takeProfile(p, file) }()
		o, readErr := r.read(e.path, load{clients: 16, lasting: profileLasts + time.Second})
		if err := <-done; err != nil {
			return err
		}
		if readErr != nil {
			return readErr
		}
		b.line("%s: %d reads in %s: %s", e.name, o.requests, o.elapsed.Round(time.Millisecond), file)
	}
	return nil
}

// takeProfile asks a process for a profile of its processor time.
func takeProfile(p process, file string) error {
	content, err := fetchProfile(p, fmt.Sprintf("profile?seconds=%.0f", profileLasts.Seconds()), time.Minute)
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// fetchProfile asks a plugin built with -tags profile for one of its profiles.
func fetchProfile(p process, name string, limit time.Duration) ([]byte, error) {
	socket := filepath.Join(os.Getenv(envProfileDir), fmt.Sprintf("%d.sock", p))
	client := http.Client{Timeout: limit, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://plugin/debug/pprof/" + name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profile %s: status %d", name, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}
