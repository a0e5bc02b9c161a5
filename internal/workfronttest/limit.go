package workfronttest

import (
	"net/http"
	"strconv"
	"time"
)

// tooManyCalls is what Adobe's OpenAPI document says of the 429.
const tooManyCalls = "Too many concurrent API requests for the given customer."

// begin counts a call as under way, and reports whether there is room for it. The call's done takes it back, at the
// latest when its handler returns: before the last bytes of the answer are sent, so that a client that waits for an
// answer before it sends the next call never has one more under way than it knows of.
func (s *Server) begin(c *call) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.CallsUnderWay++
	s.stats.PeakCalls = max(s.stats.PeakCalls, s.stats.CallsUnderWay)
	c.underWay = true
	if limit := s.behaviour.MaxCalls; limit == 0 || s.stats.CallsUnderWay <= limit {
		return true
	}
	s.stats.TooManyCalls++
	c.record.Refusal = "too many calls at a time"
	return false
}

// done ends what begin began. It may be called more than once.
func (s *Server) done(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.underWay {
		c.underWay = false
		s.stats.CallsUnderWay--
	}
}

func (b Behaviour) overLimit() answer {
	a := jsonAnswer(http.StatusTooManyRequests, failure{apiError{Message: tooManyCalls}})
	if b.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int(b.RetryAfter/time.Second)))
	}
	a.refusal = "too many calls at a time"
	return a
}
