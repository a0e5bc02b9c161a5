package workfronttest

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request's body; an exchange needs about 1 KiB.
const maxBody = 64 << 10

// jsonType is the content type of Workfront's API.
const jsonType = "application/json;charset=UTF-8"

// htmlType is the content type of pages.
const htmlType = "text/html;charset=UTF-8"

// call is a request on its way through the server, its body read.
type call struct {
	*http.Request
	endpoint Endpoint
	body     []byte
	record   *Request
	underWay bool // counted in Stats.CallsUnderWay; guarded by Server.mu
}

// answer is what a handler wants sent. Handlers do not write it themselves, so that a fault can come between.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	session *session      // the session whose token the body holds
	wait    time.Duration // how long the answer takes
	refusal string        // why the stand-in refuses, for Request.Refusal
}

func newAnswer(status int, contentType, body string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: []byte(body)}
}

func jsonAnswer(status int, body any) answer {
	data, err := json.Marshal(body)
	if err != nil {
		panic("workfronttest: marshal answer: " + err.Error()) // a type of this package that has no JSON form
	}
	return newAnswer(status, jsonType, string(data))
}

// page is what a web server that knows nothing of the path shows, with a status that may say so.
func page(status int) answer {
	a := newAnswer(status, htmlType,
		"<!doctype html><html><head><title>404</title></head><body><h1>Not Found</h1></body></html>\n")
	a.refusal = "unknown path"
	return a
}

func endpointOf(path string) Endpoint {
	switch {
	case path == exchangePath:
		return EndpointExchange
	case !strings.HasPrefix(path, apiPrefix):
		return ""
	case strings.HasSuffix(path, "/logout"):
		return EndpointLogout
	default:
		return EndpointAPI
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.admin && strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.serveAdmin(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the client left
	}
	c := &call{Request: r, endpoint: endpointOf(r.URL.EscapedPath()), body: body}
	c.record = s.record(c)
	defer s.logRequest(c)
	s.emit(c.endpoint, 0)
	if c.endpoint != "" {
		defer s.done(c)
		if !s.begin(c) {
			b := s.currentBehaviour()
			s.deliver(w, c, b.dress(b.overLimit()), nil)
			return
		}
	}
	s.intercept(w, c, s.takeFault(c.endpoint))
}

func (s *Server) logRequest(c *call) {
	if s.log == nil {
		return
	}
	s.mu.Lock()
	record := *c.record
	s.mu.Unlock()
	s.log(record)
}

// intercept carries a request out and answers it, with all that the fault does to it.
func (s *Server) intercept(w http.ResponseWriter, c *call, f *activeFault) {
	hang := func() {
		if !s.wait(c.Context(), f, -1) {
			panic(http.ErrAbortHandler)
		}
	}
	cutOff := func() {
		s.done(c) // before the client can see it, as in deliver
		reset(w)
	}
	if f.Delay > 0 && !s.wait(c.Context(), f, f.Delay) {
		panic(http.ErrAbortHandler)
	}
	if f.Hang == HangBeforeHandling {
		hang()
	}
	if f.Reset == ResetBeforeHandling {
		cutOff()
	}
	var a answer
	if f.Apply || !f.replaces() {
		a = s.handle(c)
	}
	if f.replaces() {
		a = f.replacement()
	}
	for name, values := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
	if a.wait > 0 && !s.wait(c.Context(), f, a.wait) {
		panic(http.ErrAbortHandler)
	}
	if f.Hang == HangBeforeAnswer {
		hang()
	}
	if f.Reset == ResetAfterHandling {
		cutOff()
	}
	var midway func()
	if f.Hang == HangMidAnswer {
		midway = hang
	}
	if f.Reset == ResetMidAnswer {
		midway = cutOff
	}
	s.deliver(w, c, a, midway)
}

// handle does what Workfront would do.
func (s *Server) handle(c *call) answer {
	b := s.currentBehaviour()
	var a answer
	switch tooLarge := len(c.body) > maxBody; {
	case tooLarge && c.endpoint == EndpointExchange:
		a = b.refuse(http.StatusRequestEntityTooLarge, invalidRequest, "the request is too large")
		a.refusal = "body too large"
	case tooLarge:
		a = apiFailure(http.StatusRequestEntityTooLarge, parameterClass, "the request is too large")
	case c.endpoint == EndpointExchange:
		a = s.exchange(c)
	case c.endpoint != "":
		a = s.api(c)
	default:
		a = page(defaultTo(b.UnknownPathStatus, http.StatusNotFound))
	}
	a = b.dress(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.record.Refusal = a.refusal
	if c.endpoint == EndpointExchange && a.refusal != "" {
		s.stats.Refused++
	}
	return a
}

// deliver writes the answer, with midway called after the first half of the body, and keeps the accounts: whatever
// the client can see by its answer, Stats and Requests show already.
func (s *Server) deliver(w http.ResponseWriter, c *call, a answer, midway func()) {
	h := w.Header()
	h.Set("Date", s.now().Add(s.currentBehaviour().ClockOffset).UTC().Format(http.TimeFormat))
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		a.body = nil // neither has one (RFC 9110, 15.3.5 and 15.4.5)
	} else {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	for name, values := range a.header {
		h[name] = values
	}
	if length := h.Get("Content-Length"); length != "" && length != strconv.Itoa(len(a.body)) {
		a.session = nil // the answer will not be whole
	}
	rest := a.body
	s.setStatus(c, a.status)
	w.WriteHeader(a.status)
	if midway != nil {
		half := len(rest) / 2
		if send(w, rest[:half]) != nil {
			panic(http.ErrAbortHandler)
		}
		rest = rest[half:]
		midway()
	}
	if c.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client left
	}
	s.done(c)
	s.delivered(a.session, 1)
	if send(w, rest) != nil {
		s.delivered(a.session, -1)
		panic(http.ErrAbortHandler)
	}
	s.emit(c.endpoint, a.status)
}

func (s *Server) setStatus(c *call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.record.Status = status
}

func (s *Server) delivered(e *session, n int) {
	if e == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addDeliveries(e, n)
}

// send writes to the network, not just to a buffer.
func send(w http.ResponseWriter, data []byte) error {
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// reset closes the connection with a TCP RST and ends the handler.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the connection is gone already
	}
	if layered, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = layered.NetConn() // a tls.Conn would say goodbye first
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}
