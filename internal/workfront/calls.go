package workfront

import "time"

// Calls is how many calls go to a host at the moment.
type Calls struct {
	BaseURL  string
	InFlight int // each has one of the slots
	Waiting  int // for a slot
	Limit    int // slots: max_connections, or fewer for a while after an answer of status 429
}

// Calls returns how many calls go to each host at the moment, in no particular order. A host that was forgotten is not
// in it.
func (c *Clients) Calls() []Calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(time.Now())
	calls := make([]Calls, 0, len(c.hosts))
	for baseURL, h := range c.hosts {
		calls = append(calls, h.limit.calls(baseURL))
	}
	return calls
}

// calls returns how many calls have a slot and how many wait for one.
func (l *limit) calls(baseURL string) Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recover(time.Now())
	return Calls{BaseURL: baseURL, InFlight: l.underWay(), Waiting: l.waiting(), Limit: l.allowed}
}
