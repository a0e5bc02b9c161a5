package workfronttest

import "time"

// Stats counts what happened since the start. Each session that was started is in exactly one of four states, so at
// every moment
//
//	Started = LoggedOut + Expired + Alive + Undelivered
//
// A session is Undelivered from its start until an answer that holds its token was written whole, and for good if
// none is: also when its time passes, since no client can have known it. It leaves that state when a later exchange
// delivers it after all (Behaviour.SameSession), or when it is logged out nevertheless. A client that goes away in
// the instant in which its answer is written may be missed: TCP does not tell.
type Stats struct {
	// Exchanges are the requests to the exchange, whatever became of them.
	Exchanges int `json:"exchanges"`
	// Started are the exchanges that started a session.
	Started int `json:"started"`
	// Reissued are the exchanges that returned a session which was alive already.
	Reissued int `json:"reissued"`
	// Refused are the exchanges that the stand-in refused by its own rules, not by a fault.
	Refused int `json:"refused"`
	// LoggedOut are the sessions ended by a logout, or by EndSession.
	LoggedOut int `json:"logged_out"`
	// Expired are the delivered sessions that lived to their end, or were idle for too long.
	Expired int `json:"expired"`
	// Alive are the delivered sessions that live.
	Alive int `json:"alive"`
	// Undelivered are the sessions that no client was told of, dead or alive.
	Undelivered int `json:"undelivered"`
	// Logouts are the requests to the logout, whatever became of them.
	Logouts int `json:"logouts"`
	// APICalls are the requests to the rest of the API.
	APICalls int `json:"api_calls"`
	// CallsUnderWay are the calls that are being answered: exchanges, logouts and the rest of the API.
	CallsUnderWay int `json:"calls_under_way"`
	// PeakCalls is the highest number of calls that were under way at a time, a refused one included.
	PeakCalls int `json:"peak_calls"`
	// TooManyCalls are the calls that got a 429, because the customer's limit was reached. They are not Refused.
	TooManyCalls int `json:"too_many_calls"`
	// Connections are the TCP connections that were accepted.
	Connections int `json:"connections"`
}

// grant names whom a session was started for.
type grant struct{ clientID, customerID, userID string }

type ending int

const (
	alive ending = iota
	loggedOut
	expired
)

type session struct {
	token      string
	grant      grant
	expires    time.Time // at the latest, see expiry
	used       time.Time // its start, or the last call with it
	ending     ending
	deliveries int // answers written whole that hold the token
}

// Stats returns the counters of this moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, e := range s.sessions {
		s.expire(e, now)
	}
	stats := s.stats
	stats.Connections = int(s.connections.Load())
	return stats
}

// SessionAlive reports whether a token is good for API calls now.
func (s *Server) SessionAlive(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session(token) != nil
}

// Living is a session that lives: what a test has to tell of one that should not.
type Living struct {
	Token, UserID string
	Started, Used time.Time // Used is the last call with it, or its start
	Delivered     bool      // an answer that holds the token was written whole
}

// Living returns the sessions that live, those that no client was told of included.
func (s *Server) Living() []Living {
	s.mu.Lock()
	defer s.mu.Unlock()
	var living []Living
	for token, e := range s.sessions {
		if s.session(token) != nil {
			living = append(living, Living{token, e.grant.userID, s.started(e), e.used, e.deliveries > 0})
		}
	}
	return living
}

// ExpireSession ends a session as if its time had come. It reports whether there was one to end.
func (s *Server) ExpireSession(token string) bool { return s.endSession(token, expired) }

// EndSession ends a session as if somebody else had logged it out. It reports whether there was one to end.
func (s *Server) EndSession(token string) bool { return s.endSession(token, loggedOut) }

// ExpireSessions ends all living sessions as if their time had come, and returns how many there were: for those that a test
// cannot name, because their client died.
func (s *Server) ExpireSessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	living := 0
	for _, e := range s.sessions {
		if s.session(e.token) != nil {
			s.end(e, expired)
			living++
		}
	}
	return living
}

func (s *Server) endSession(token string, how ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.session(token)
	if e == nil {
		return false
	}
	s.end(e, how)
	return true
}

// The functions below are called with s.mu held.

// open starts a session, or finds the one to return again.
func (s *Server) open(g grant) *session {
	now := s.now()
	if last := s.latest[g]; last != nil && s.behaviour.SameSession {
		if s.expire(last, now); last.ending == alive {
			s.stats.Reissued++
			return last
		}
	}
	e := &session{token: NewID(), grant: g, expires: now.Add(s.ttl), used: now}
	s.sessions[e.token] = e
	s.latest[g] = e
	s.stats.Started++
	s.count(e, 1)
	return e
}

// session finds a living session, or nil.
func (s *Server) session(token string) *session {
	e := s.sessions[token]
	if e == nil {
		return nil
	}
	if s.expire(e, s.now()); e.ending != alive {
		return nil
	}
	return e
}

// started is when a session was started.
func (s *Server) started(e *session) time.Time { return e.expires.Add(-s.ttl) }

// isKnown reports whether the API knows a living session already.
func (s *Server) isKnown(e *session) bool {
	return !s.now().Before(s.started(e).Add(s.behaviour.KnownAfter))
}

// expiry is when a session ends if nobody uses it before.
func (s *Server) expiry(e *session) time.Time {
	if idle := s.behaviour.SessionIdle; idle > 0 && e.used.Add(idle).Before(e.expires) {
		return e.used.Add(idle)
	}
	return e.expires
}

func (s *Server) expire(e *session, now time.Time) {
	if e.ending == alive && !now.Before(s.expiry(e)) {
		s.end(e, expired)
	}
}

func (s *Server) end(e *session, how ending) {
	s.count(e, -1)
	e.ending = how
	s.count(e, 1)
	delete(s.sessions, e.token)
	if s.latest[e.grant] == e {
		delete(s.latest, e.grant)
	}
}

func (s *Server) addDeliveries(e *session, n int) {
	s.count(e, -1)
	e.deliveries += n
	s.count(e, 1)
}

// count adds n to the one counter that the session belongs to.
func (s *Server) count(e *session, n int) {
	switch {
	case e.ending == loggedOut:
		s.stats.LoggedOut += n
	case e.deliveries == 0:
		s.stats.Undelivered += n
	case e.ending == expired:
		s.stats.Expired += n
	default:
		s.stats.Alive += n
	}
}
