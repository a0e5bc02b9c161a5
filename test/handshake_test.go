//go:build e2e

package test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// stranger is a server that speaks no TLS, and keeps what it is told.
type stranger struct {
	net.Listener
	mu          sync.Mutex
	connections int
	told        bytes.Buffer
}

// startStranger starts a server that does that with each connection.
func startStranger(t *testing.T, do func(s *stranger, conn net.Conn)) *stranger {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{Listener: listener}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			go func() {
				defer func() { _ = conn.Close() }()
				do(s, conn)
			}()
		}
	}()
	return s
}

// Write keeps what came.
func (s *stranger) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told.Write(data)
}

// TestNoHandshake: who speaks no TLS learns nothing, and since nothing was sent, it is tried again where that may help.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		do          func(s *stranger, conn net.Conn)
		text        string
		connections int
	}{
		{"closed at once", func(*stranger, net.Conn) {}, "connection", 3},
		{"silence", func(s *stranger, conn net.Conn) { _, _ = io.Copy(s, conn) }, "did not answer in the time allowed", 1},
		{
			"plain HTTP",
			func(s *stranger, conn net.Conn) {
				hello := make([]byte, 64<<10)
				n, _ := conn.Read(hello)
				_, _ = s.Write(hello[:n])
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				_, _ = io.Copy(s, conn)
			},
			"no TLS connection", 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			s := startStranger(t, c.do)
			m := issuing(t, sharedVault(t), w, map[string]any{"base_url": "https://" + s.Addr().String(), "request_timeout": "2s"})
			began := time.Now()
			_, err := m.readToken("")
			wantError(t, err, http.StatusBadGateway, "not available", c.text)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("the read took %s, want 2s at most", took)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.connections != c.connections {
				t.Errorf("%d connections came, want %d", s.connections, c.connections)
			}
			for _, mark := range []string{canaryMark, w.App.ClientID, "POST", "jwt"} {
				if bytes.Contains(s.told.Bytes(), []byte(mark)) {
					t.Errorf("it was told %q", mark)
				}
			}
			m.configure(t, w, nil)
			m.revoke(t, m.token(t, ""))
		})
	}
}
