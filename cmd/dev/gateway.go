package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// gateway is an HTTP proxy on loopback that knows one host and refuses all others: what goes through it reaches nothing
// else.
type gateway struct {
	url    string
	server *http.Server
	stop   context.CancelFunc
	tasks  sync.WaitGroup
}

// startGateway connects whoever asks for a host and port to another address.
func startGateway(ctx context.Context, host, address string) (*gateway, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	g := &gateway{url: "http://" + listener.Addr().String(), stop: stop}
	handle := func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != host {
			http.Error(w, "only "+host+" is known here", http.StatusForbidden)
			return
		}
		out, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		in, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, err = io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n")
		}
		if err != nil {
			_ = out.Close()
			return
		}
		g.join(ctx, in, out)
	}
	g.server = &http.Server{Handler: http.HandlerFunc(handle), ReadHeaderTimeout: 10 * time.Second}
	g.tasks.Go(func() { _ = g.server.Serve(listener) })
	return g, nil
}

// join copies both ways until one side ends.
func (g *gateway) join(ctx context.Context, in, out net.Conn) {
	end := sync.OnceFunc(func() { _, _ = in.Close(), out.Close() })
	stop := context.AfterFunc(ctx, end)
	var copying sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		copying.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			end()
		})
	}
	g.tasks.Go(func() {
		copying.Wait()
		stop()
	})
}

func (g *gateway) close() {
	g.stop()
	_ = g.server.Close()
	g.tasks.Wait()
}
