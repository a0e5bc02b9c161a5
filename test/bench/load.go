package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is what clients do in one round: each sends requests over a connection of its own, the next one when the answer to the
// one before is there.
type load struct {
	clients int
	// The round ends after so many requests, or after so much time if that is 0.
	requests int
	lasting  time.Duration
	stagger  time.Duration // between the first requests of two clients
	perSec   float64       // requests in a second of all clients together, at most; 0 sets no limit
}

func clientsText(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

// outcome is what became of a round.
type outcome struct {
	requests  int
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

func (o outcome) perSecond() float64 { return float64(o.requests) / o.elapsed.Seconds() }

// percentile returns the latency that so many percent of the requests did not exceed.
func (o outcome) percentile(percent int) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[(len(o.latencies)-1)*percent/100]
}

// reader sends token reads. It works below http.Client, because it shares the processors with what it measures.
type reader struct {
	dial  func(context.Context) (net.Conn, error)
	token string // Vault's
}

// read has clients read a path as the load says. It fails if a single answer is not a leased token.
func (r *reader) read(path string, l load) (outcome, error) {
	ctx := context.Background()
	conns := make([]net.Conn, l.clients)
	for i := range conns {
		var err error
		if conns[i], err = r.dial(ctx); err != nil {
			return outcome{}, err
		}
		defer func() { _ = conns[i].Close() }()
	}
	var begun atomic.Int64
	latencies := make([][]time.Duration, l.clients)
	errs := make([]error, l.clients)
	var clients sync.WaitGroup
	start := time.Now()
	more := func() bool {
		if l.requests > 0 {
			return begun.Add(1) <= int64(l.requests)
		}
		return time.Since(start) < l.lasting
	}
	for i, conn := range conns {
		clients.Go(func() {
			<-time.After(time.Duration(i) * l.stagger)
			latencies[i], errs[i] = converse(conn, r.request(path), l.pace(more))
		})
	}
	clients.Wait()
	o := outcome{elapsed: time.Since(start), latencies: slices.Concat(latencies...)}
	o.requests = len(o.latencies)
	slices.Sort(o.latencies)
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("read %s: %w", path, err)
	}
	return o, nil
}

// request is what a client sends to read a path.
func (r *reader) request(path string) []byte {
	return fmt.Appendf(nil, "GET /v1/%s HTTP/1.1\r\nHost: vault\r\nX-Vault-Token: %s\r\nX-Vault-Request: true\r\n\r\n", path, r.token)
}

// pace makes a client wait before each request until its time has come, if the load has a limit.
func (l load) pace(more func() bool) func() bool {
	if l.perSec == 0 {
		return more
	}
	every := time.Duration(float64(time.Second) * float64(l.clients) / l.perSec)
	next := time.Now()
	return func() bool {
		<-time.After(time.Until(next))
		next = next.Add(every)
		return more()
	}
}

// converse sends a request over one connection again and again, and returns how long each answer took.
func converse(conn net.Conn, request []byte, more func() bool) ([]time.Duration, error) {
	in := bufio.NewReader(conn)
	var body bytes.Buffer
	latencies := make([]time.Duration, 0, 4096)
	for more() {
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return latencies, err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return latencies, err
		}
		body.Reset()
		_, err = io.Copy(&body, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return latencies, err
		}
		if err := wantLease(resp.StatusCode, body.Bytes()); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(sent))
	}
	return latencies, nil
}

// wantLease looks at the answer without taking it apart.
func wantLease(status int, body []byte) error {
	const name = `"lease_id":"`
	if i := bytes.Index(body, []byte(name)); status == http.StatusOK && i >= 0 && body[i+len(name)] != '"' {
		return nil
	}
	return fmt.Errorf("status %d, want 200 and a lease: %s", status, strings.TrimSpace(string(body)))
}

// interleave runs one turn of each participant in each round, another one first each time: what the machine does besides,
// and what the turn before has left behind, hits all of them alike.
func interleave(rounds, participants int, turn func(round, participant int) error) error {
	for round := range rounds {
		for i := range participants {
			if err := turn(round, (round+i)%participants); err != nil {
				return err
			}
		}
	}
	return nil
}
