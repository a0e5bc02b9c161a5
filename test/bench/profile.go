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
	socket := filepath.Join(os.Getenv(envProfileDir), fmt.Sprintf("%d.sock", p))
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(fmt.Sprintf("http://plugin/debug/pprof/profile?seconds=%.0f", profileLasts.Seconds()))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("take a profile: status %d", resp.StatusCode)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
