package workfront

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
)

// route is how a call to the API is sent: by its method, and with a version in its path, or without one ("").
type route struct{ method, version string }

// routes returns the order of an attempt: what worked last on the host, then each version by each method.
func routes(last *route, versions []string, methods ...string) []route {
	var order []route
	if last != nil {
		order = append(order, *last)
	}
	if len(versions) == 0 {
		versions = []string{""}
	}
	for _, version := range versions {
		for _, method := range methods {
			if r := (route{method, version}); !slices.Contains(order, r) {
				order = append(order, r)
			}
		}
	}
	return order
}

// worked is what worked last on a host. Adobe's documentation and Workfront's own client log out by GET, Adobe's OpenAPI
// document declares POST only, and Workfront retires versions.
type worked struct{ logout, whoami atomic.Pointer[route] }

func (w *worked) forget() {
	w.logout.Store(nil)
	w.whoami.Store(nil)
}

// ForgetWorked forgets by which method and version of the API each host could be called. Call it when the configuration was
// written: the next call then begins with the version that it is told.
func (c *Clients) ForgetWorked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.worked.forget()
	}
}

// outcome is what a call with a session came to.
type outcome struct {
	err    error // nil if it succeeded
	status int   // the HTTP status of the answer; 0 if there was none
	own    bool  // the answer is Workfront's own; see answer.isOwn
}

// is2xx reports whether the status is one of success, whatever the answer says.
func (o outcome) is2xx() bool { return o.status >= 200 && o.status <= 299 }

// ends reports whether an attempt ends with o, because another route would not change it.
func (o outcome) ends() bool {
	if o.err == nil || errors.Is(o.err, ErrSessionGone) || errors.Is(o.err, ErrGoneTooSoon) {
		return true
	}
	switch o.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return false
	}
	return !o.is2xx()
}

// weight orders the outcomes that do not end an attempt by how much they tell: most, what Workfront itself said.
func (o outcome) weight() int {
	weight := 0
	if o.own {
		weight = 2
	}
	if o.is2xx() {
		weight++
	}
	return weight
}

// attempt calls by one route after another until an answer ends it. If none does, the error is the most telling one, and own
// is that of the last answer.
func attempt(order []route, send func(route) outcome) outcome {
	var telling, last outcome
	again := false // the call repeats one whose answer was unclear
	for len(order) > 0 {
		via := order[0]
		order = order[1:]
		last = send(via)
		switch {
		case last.ends():
			return last
		case last.status == http.StatusGone:
			order = laterOf(order, via.version)
		}
		if telling.err == nil || last.weight() > telling.weight() {
			telling = last
		}
		if again = !again && errors.Is(last.err, ErrUnclearLogout); again {
			// If it did log the session out, this is told that the session is gone.
			post := route{http.MethodPost, via.version}
			order = slices.DeleteFunc(order, func(r route) bool { return r == post })
			order = slices.Insert(order, 0, post)
		}
	}
	telling.own = last.own
	return telling
}

// laterOf returns order with the routes of a version at its end: the version is no longer available, or not by one method.
func laterOf(order []route, version string) []route {
	var sooner, later []route
	for _, r := range order {
		if r.version == version {
			later = append(later, r)
		} else {
			sooner = append(sooner, r)
		}
	}
	return append(sooner, later...)
}
