//go:build profile

package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // on a socket of its own, and not in what is released
	"os"
	"path/filepath"
	"time"
)

// envProfileDir names a directory. There the plugin listens on a socket named after its process ID for net/http/pprof.
// Only the soak and the benchmark build the plugin so (-tags profile): a profile of memory holds what memory does.
const envProfileDir = "WORKFRONT_PROFILE_DIR"

func init() {
	dir := os.Getenv(envProfileDir)
	if dir == "" {
		return
	}
	listener, err := net.Listen("unix", filepath.Join(dir, fmt.Sprintf("%d.sock", os.Getpid()))) //nolint:noctx // init has none
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute}
	go func() { fmt.Fprintln(os.Stderr, "profile:", server.Serve(listener)) }()
}
