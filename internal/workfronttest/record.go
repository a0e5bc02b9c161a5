package workfronttest

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxRequests bounds what Requests returns.
const maxRequests = 10_000

// Request is a request that was seen: what it looked like, without its body.
type Request struct {
	Time     time.Time // by the server's clock
	Endpoint Endpoint  // empty for an unknown path
	Method   string
	Path     string // without the query
	// RemoteAddr tells connections apart.
	RemoteAddr string
	Header     http.Header
	// QueryFields and FormFields are the names of the parameters in the query and in the body, sorted.
	QueryFields, FormFields []string
	// Status is the answer's, or 0 if none was begun, or none yet.
	Status int
	// Refusal says why the stand-in refused the request by its own rules. It holds nothing that was sent, and no
	// client is told of it.
	Refusal string
}

// Requests returns the last 10,000 requests, oldest first, without those to the administration API.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(0, len(s.requests)-maxRequests)
	requests := make([]Request, 0, len(s.requests)-from)
	for _, r := range s.requests[from:] {
		requests = append(requests, *r)
	}
	return requests
}

// record notes a request on its arrival.
func (s *Server) record(c *call) *Request {
	record := &Request{
		Time:        s.now(),
		Endpoint:    c.endpoint,
		Method:      c.Method,
		Path:        c.URL.Path,
		RemoteAddr:  c.RemoteAddr,
		Header:      c.Header.Clone(),
		QueryFields: fieldNames(c.URL.RawQuery),
	}
	if isForm(c.Header) {
		record.FormFields = fieldNames(string(c.body))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= 2*maxRequests {
		s.requests = slices.Clone(s.requests[maxRequests:])
	}
	s.requests = append(s.requests, record)
	switch c.endpoint {
	case EndpointExchange:
		s.stats.Exchanges++
	case EndpointLogout:
		s.stats.Logouts++
	case EndpointAPI:
		s.stats.APICalls++
	}
	return record
}

func isForm(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

func fieldNames(query string) []string {
	values, _ := url.ParseQuery(query) // the names that can be read
	return slices.Sorted(maps.Keys(values))
}

// EventKind is a stage of a request.
type EventKind string

// The points at which OnEvent's callback is called. Received: nothing was done yet. Answered: an answer, real or
// faulty, was handed to the network whole.
const (
	ExchangeReceived EventKind = "exchange received"
	ExchangeAnswered EventKind = "exchange answered"
	LogoutReceived   EventKind = "logout received"
	LogoutAnswered   EventKind = "logout answered"
)

// Event is what OnEvent's callback gets. Status is the answer's, 0 when received.
type Event struct {
	Kind   EventKind
	Status int
}

// OnEvent has f called at each event, by the goroutine that serves the request, which waits for it: a test that kills
// something in the callback kills it at that point. f replaces the callback before it; nil means none.
func (s *Server) OnEvent(f func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onEvent = f
}

// emit tells of a request's arrival (status 0) or of its answer.
func (s *Server) emit(endpoint Endpoint, status int) {
	var kind EventKind
	switch {
	case endpoint == EndpointExchange && status == 0:
		kind = ExchangeReceived
	case endpoint == EndpointExchange:
		kind = ExchangeAnswered
	case endpoint == EndpointLogout && status == 0:
		kind = LogoutReceived
	case endpoint == EndpointLogout:
		kind = LogoutAnswered
	default:
		return
	}
	s.mu.Lock()
	f := s.onEvent
	s.mu.Unlock()
	if f != nil {
		f(Event{Kind: kind, Status: status})
	}
}
