package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kinds of what can excuse an answer. Others are "sweep" with the name of a role, and "ended" with the ID of a session.
const (
	faulty       = "faulty"       // Workfront fails
	sameSession  = "same session" // Workfront hands a session out again, however little is left of it
	restarting   = "restarting"   // the plugin ends and starts
	unconfigured = "not configured"
	unstated     = "unstated"        // Workfront does not say when sessions end
	retired      = "retired version" // Workfront no longer serves the version of its API that config names
)

func sweep(role string) string      { return "sweep " + role }
func ended(sessionID string) string { return "ended " + sessionID }

// past knows what was done when, to tell which answers are to be expected.
type past struct {
	mu      sync.Mutex
	windows map[string][]*window
}

type window struct{ begin, end time.Time }

// begin notes that something begins. The returned function notes its end; what it did may be felt for a while after.
func (p *past) begin(kind string, felt time.Duration) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.windows == nil {
		p.windows = map[string][]*window{}
	}
	w := &window{begin: time.Now()}
	p.windows[kind] = append(p.windows[kind], w)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.end = time.Now().Add(felt)
	}
}

// happened tells whether there was something of that kind between two times.
func (p *past) happened(kind string, from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.windows[kind], func(w *window) bool {
		return !w.begin.After(to) && (w.end.IsZero() || !w.end.Before(from))
	})
}

// forget forgets, at rest, what excuses no answer any more. What was ended stays so.
func (p *past) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.windows, func(kind string, _ []*window) bool { return !strings.HasPrefix(kind, ended("")) })
}
