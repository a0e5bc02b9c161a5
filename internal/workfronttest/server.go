// Package workfronttest is a strict stand-in for Adobe Workfront: the JWT exchange of an OAuth2 "Machine to Machine
// Application", the sessions that it starts, and as much of the API as it takes to use and to end one, over TLS.
//
// It restates the protocol from Adobe's documentation (pages oauth-app-jwt-flow, create-oauth-application,
// oauth-app-code-token-flow and api-basics of workfront.en, and npm workfront-api 6.2.0 for the logout), with the
// standard library alone, so that a mistake of the client under test cannot hide in code that both share. Where the
// documentation is silent, the stand-in does what is hardest on a client, and Behaviour switches it.
//
// Faults are injected with Inject; what happened is read from Stats and Requests.
package workfronttest

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options says how a Server is started. The zero value is a Workfront that works.
type Options struct {
	// Addr is the address to listen on, "127.0.0.1:0" by default. Only loopback addresses are accepted: the stand-in
	// gives its administration to whoever reaches it.
	Addr string
	// SessionTTL is the lifetime of a session, 30 minutes by default; see also Behaviour.SessionIdle.
	SessionTTL time.Duration
	// Now is the clock of sessions and JWTs, time.Now by default. Certificates and waits follow the real one.
	Now func() time.Time
	// TLS describes the server's certificate and TLS versions.
	TLS TLSOptions
	// Behaviour is what the server starts with, and what the administration API sets fields back to;
	// DefaultBehaviour by default.
	Behaviour *Behaviour
	// Admin mounts the administration API below /simulator/ on the same listener.
	Admin bool
	// Log, if set, is called once for each request when it is over.
	Log func(Request)
}

// Server is a running stand-in. Its methods may be called from any goroutine.
type Server struct {
	ttl         time.Duration
	now         func() time.Time
	admin       bool
	initial     Behaviour
	log         func(Request)
	authority   *authority
	client      *http.Client
	connections atomic.Int64 // accepted so far
	connected   atomic.Int64 // open now
	closed      chan struct{}
	closeOnce   sync.Once

	// listening guards what Suspend, Resume and SetTLS replace.
	listening sync.Mutex
	addr      string
	tls       TLSOptions
	stop      func() // nil while suspended

	// mu guards everything below. It is never held during a wait, a write to a client or a callback.
	mu           sync.Mutex
	applications map[string]*application // by client ID
	users        map[string]User         // by user ID
	sessions     map[string]*session     // the living, by token
	latest       map[grant]*session
	stats        Stats
	requests     []*Request
	faults       []*activeFault
	cleared      chan struct{} // closed and replaced by ClearFaults
	behaviour    Behaviour
	onEvent      func(Event)
}

// Start makes a CA and a server certificate and listens. The caller closes the Server.
func Start(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if err := checkLoopback(o.Addr); err != nil {
		return nil, err
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = 30 * time.Minute
	}
	if o.SessionTTL < 0 {
		return nil, fmt.Errorf("session ttl %s is negative", o.SessionTTL)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	initial := DefaultBehaviour()
	if o.Behaviour != nil {
		initial = *o.Behaviour
	}
	if err := initial.Validate(); err != nil {
		return nil, err
	}
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	s := &Server{
		ttl:          o.SessionTTL,
		now:          o.Now,
		admin:        o.Admin,
		log:          o.Log,
		authority:    ca,
		client:       ca.client(),
		closed:       make(chan struct{}),
		addr:         o.Addr,
		tls:          o.TLS,
		applications: map[string]*application{},
		users:        map[string]User{},
		sessions:     map[string]*session{},
		latest:       map[grant]*session{},
		cleared:      make(chan struct{}),
		initial:      initial,
	}
	s.SetBehaviour(initial)
	if err := s.Resume(); err != nil {
		return nil, err
	}
	return s, nil
}

func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen address %q is not a loopback address", addr)
	}
	return nil
}

// URL is the base URL, such as https://127.0.0.1:41234. It stays the same across Suspend, Resume and SetTLS.
func (s *Server) URL() string {
	s.listening.Lock()
	defer s.listening.Unlock()
	return "https://" + s.addr
}

// CACert is the PEM of the CA that signs the server's certificate.
func (s *Server) CACert() string { return s.authority.pem }

// HTTPClient is a client that trusts only the server's CA, uses no proxy and follows no redirect. It is the same one
// on each call.
func (s *Server) HTTPClient() *http.Client { return s.client }

// OpenConnections is how many TCP connections are open now.
func (s *Server) OpenConnections() int { return int(s.connected.Load()) }

// Suspend closes the listener and every connection, so that clients are refused, and keeps all else.
func (s *Server) Suspend() {
	s.listening.Lock()
	defer s.listening.Unlock()
	s.suspend()
}

func (s *Server) suspend() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.client.CloseIdleConnections() // or its next request might be lost on one that has just died
}

// Resume listens again, on the same address. It does nothing to a server that listens.
func (s *Server) Resume() error {
	s.listening.Lock()
	defer s.listening.Unlock()
	return s.resume()
}

func (s *Server) resume() error {
	select {
	case <-s.closed:
		return errors.New("the server was closed")
	default:
	}
	if s.stop != nil {
		return nil
	}
	config, err := s.authority.serverConfig(s.tls)
	if err != nil {
		return err
	}
	listener, err := listen(s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.addr = listener.Addr().String()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		TLSConfig:         config,
		Protocols:         &protocols,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // failed handshakes are what many tests are about
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.connections.Add(1)
				s.connected.Add(1)
			case http.StateHijacked, http.StateClosed: // hijacked for a reset
				s.connected.Add(-1)
			}
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(listener, "", "") // always ErrServerClosed: nothing else closes the listener
	}()
	s.stop = func() {
		_ = server.Close()
		_ = listener.Close()
		<-done
	}
	return nil
}

// Ports that systems do not give to outgoing connections by themselves (Linux begins at 32768, others at 49152): one of
// those could be taken by a client while the server is suspended.
const (
	firstPort = 20_000
	lastPort  = 29_999
)

// listen chooses a free port if addr has port 0.
func listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return net.Listen("tcp", addr)
	}
	for range 100 {
		chosen := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		if listener, err := net.Listen("tcp", net.JoinHostPort(host, chosen)); err == nil {
			return listener, nil
		}
	}
	return net.Listen("tcp", addr)
}

// SetTLS gives the server another certificate or other TLS versions. Connections are closed, so that a kept-alive one
// cannot hide the change. A suspended server stays suspended.
func (s *Server) SetTLS(o TLSOptions) error {
	s.listening.Lock()
	defer s.listening.Unlock()
	if _, err := s.authority.serverConfig(o); err != nil {
		return err
	}
	s.tls = o
	if s.stop == nil {
		return nil
	}
	s.suspend()
	return s.resume()
}

// Close stops the server for good. Requests that hang are cut off. It may be called from an OnEvent callback, so it
// does not wait for handlers.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.closed) })
	s.Suspend()
}
