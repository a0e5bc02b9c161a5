// Package notice keeps the log short when the same trouble comes in masses: the log gets the first case at once, and the
// number of those that followed within a minute in one line.
package notice

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Every is how often the log gets a line about one kind of trouble, at most: an outage meets thousands of sessions.
	Every = time.Minute
	// MostRoles is how many roles a line names, at most.
	MostRoles = 5
)

// Notice counts what happened since the last line. Its zero value has nothing to report. It is safe for concurrent use.
type Notice struct {
	mu     sync.Mutex
	toldAt time.Time
	count  int
}

// Add counts one case, and returns how many the log is to be told of now, or 0.
func (n *Notice) Add(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	return n.dueLocked(now)
}

// Due is Add without another case: for what was counted after the last line, when nothing more happens.
func (n *Notice) Due(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dueLocked(now)
}

func (n *Notice) dueLocked(now time.Time) int {
	if n.count == 0 || now.Sub(n.toldAt) < Every {
		return 0
	}
	count := n.count
	n.count, n.toldAt = 0, now
	return count
}

// Tally is a Notice that also counts by role. Its memory is bounded by the roles of the cases since the last line.
type Tally struct {
	mu     sync.Mutex
	notice Notice
	roles  map[string]int
	last   error
}

// Report is what one line of the log says.
type Report struct {
	Count int    // of cases since the last line; 0 if there is nothing to report now
	Roles string // those with the most cases, with the number of each
	Err   error  // of the last case
}

// Add counts one case of a role ("" if there is no role), and returns what the log is to be told of now. err may be nil.
func (t *Tally) Add(now time.Time, role string, err error) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.roles == nil {
		t.roles = make(map[string]int)
	}
	t.roles[role]++
	t.last = err
	return t.reportLocked(t.notice.Add(now))
}

// Due is Add without another case.
func (t *Tally) Due(now time.Time) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reportLocked(t.notice.Due(now))
}

func (t *Tally) reportLocked(count int) Report {
	if count == 0 {
		return Report{}
	}
	r := Report{Count: count, Roles: mostOf(t.roles), Err: t.last}
	t.roles, t.last = nil, nil
	return r
}

// mostOf names the roles with the highest counts, as "reports: 120, sync: 30, and 4 more".
func mostOf(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	more := max(0, len(names)-MostRoles)
	parts := make([]string, 0, MostRoles+1)
	for _, name := range names[:len(names)-more] {
		shown := name
		if name == "" {
			shown = "(none)" // no name of a role has parentheses
		}
		parts = append(parts, fmt.Sprintf("%s: %d", shown, counts[name]))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}
