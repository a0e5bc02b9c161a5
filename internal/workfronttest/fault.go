package workfronttest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Endpoint names a part of Workfront.
type Endpoint string

// The endpoints that a fault can hit. The administration API is none of them.
const (
	EndpointExchange Endpoint = "exchange"
	EndpointLogout   Endpoint = "logout"
	EndpointAPI      Endpoint = "api" // the API but for the logout
	EndpointAny      Endpoint = "any" // unknown paths too
)

// HangPoint is where a request hangs until its client goes away, the server closes, or the fault is removed: then it
// goes on.
type HangPoint string

// The points at which a request can hang.
const (
	HangBeforeHandling HangPoint = "before-handling"
	HangBeforeAnswer   HangPoint = "before-answer" // after handling: a session was started or ended
	HangMidAnswer      HangPoint = "mid-answer"    // the headers and the first half of the body were sent
)

// ResetPoint is where a connection is reset (TCP RST).
type ResetPoint string

// The points at which a connection can be reset.
const (
	ResetBeforeHandling ResetPoint = "before-handling"
	ResetAfterHandling  ResetPoint = "after-handling" // a session was started or ended, and the client never hears of it
	ResetMidAnswer      ResetPoint = "mid-answer"     // the headers and the first half of the body were sent
)

// Gateway is the form of what a gateway in between answers by itself, with a 401 that says nothing of the session.
type Gateway string

// The forms of a gateway's 401.
const (
	GatewayPage Gateway = "page" // HTML, with a WWW-Authenticate
	GatewayJSON Gateway = "json" // an object with code and message
)

// Fault is something that goes wrong with a request, in this order: the wait, a hang or reset before handling, the
// handling (left out if the answer is replaced, unless Apply is set), a hang or reset after it, and the answer.
//
// An answer that is replaced (Status, Body or Gateway is set) does not deliver the session that Apply started. Headers alone
// change the real answer, which counts as delivered unless a Content-Length makes it an incomplete one.
type Fault struct {
	// Endpoint is which requests are hit, EndpointAny by default.
	Endpoint Endpoint
	// Times is how many of them; 0 means all until ClearFaults.
	Times int
	// Delay is a wait before anything else. It ends early like a hang; a client that has left is not served.
	Delay time.Duration
	// Hang, if set, is where the request hangs.
	Hang HangPoint
	// Reset, if set, is where the connection is reset.
	Reset ResetPoint
	// Apply has the request really carried out before the replaced answer is given.
	Apply bool
	// Status, if set, replaces the answer's; 200 if only a Body is set.
	Status int
	// Header is added to the answer, real or replaced, in place of headers of the same name. A Content-Length larger
	// than the body makes an answer that breaks off.
	Header http.Header
	// Body replaces the answer's if it or Status is set.
	Body string
	// Gateway, if set, replaces the answer by a gateway's own, without Status and Body.
	Gateway Gateway
}

func (f Fault) replaces() bool { return f.Status != 0 || f.Body != "" || f.Gateway != "" }

// replacement is the answer in place of the real one.
func (f Fault) replacement() answer {
	switch f.Gateway {
	case GatewayPage:
		a := newAnswer(http.StatusUnauthorized, htmlType,
			"<!doctype html><html><head><title>401</title></head><body><h1>Authorization Required</h1></body></html>\n")
		a.header.Set("WWW-Authenticate", `Basic realm="gateway"`)
		return a
	case GatewayJSON:
		return newAnswer(http.StatusUnauthorized, "application/json", `{"code":401,"message":"Unauthorized"}`)
	}
	return newAnswer(defaultTo(f.Status, http.StatusOK), jsonType, f.Body)
}

func (f Fault) validate() error {
	switch {
	case !slices.Contains([]Endpoint{"", EndpointExchange, EndpointLogout, EndpointAPI, EndpointAny}, f.Endpoint):
		return fmt.Errorf("unknown endpoint %q", f.Endpoint)
	case !slices.Contains([]HangPoint{"", HangBeforeHandling, HangBeforeAnswer, HangMidAnswer}, f.Hang):
		return fmt.Errorf("unknown hang point %q", f.Hang)
	case !slices.Contains([]ResetPoint{"", ResetBeforeHandling, ResetAfterHandling, ResetMidAnswer}, f.Reset):
		return fmt.Errorf("unknown reset point %q", f.Reset)
	case !slices.Contains([]Gateway{"", GatewayPage, GatewayJSON}, f.Gateway):
		return fmt.Errorf("unknown gateway %q", f.Gateway)
	case f.Gateway != "" && (f.Status != 0 || f.Body != ""):
		return fmt.Errorf("a gateway has a status and a body of its own")
	case f.Times < 0 || f.Delay < 0:
		return fmt.Errorf("times and delay cannot be negative")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not between 200 and 599", f.Status)
	}
	return nil
}

// activeFault is a fault that was injected. The channels tell the requests that wait in it to go on.
type activeFault struct {
	Fault
	hits    int
	removed chan struct{}
	cleared <-chan struct{}
}

// Inject makes a fault happen to the requests that come from now on. A request is hit by one fault: the first injected
// of those that match it and are not used up. Inject panics on a fault that makes no sense. remove takes it back, may
// be called more than once, and lets the requests that wait in the fault go on.
func (s *Server) Inject(f Fault) (remove func()) {
	if err := f.validate(); err != nil {
		panic("workfronttest: inject: " + err.Error())
	}
	f.Header = f.Header.Clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	active := &activeFault{Fault: f, removed: make(chan struct{}), cleared: s.cleared}
	s.faults = append(s.faults, active)
	gone := false
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if gone {
			return
		}
		gone = true
		close(active.removed)
		s.faults = slices.DeleteFunc(s.faults, func(a *activeFault) bool { return a == active })
	}
}

// ClearFaults removes all faults; the requests that wait in one go on.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	close(s.cleared)
	s.cleared = make(chan struct{})
}

// takeFault finds the fault that hits a request, or the empty one, which changes nothing.
func (s *Server) takeFault(e Endpoint) *activeFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Endpoint != "" && f.Endpoint != EndpointAny && f.Endpoint != e {
			continue
		}
		if f.hits++; f.hits == f.Times {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f
	}
	return &activeFault{}
}

// wait blocks for d, or without end if d is negative. It reports whether the request goes on, because the time is over
// or the fault was removed, or is to be given up, because the client left or the server closes.
func (s *Server) wait(ctx context.Context, f *activeFault, d time.Duration) bool {
	var timeout <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-timeout:
	case <-f.removed:
	case <-f.cleared:
	case <-s.closed:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}
