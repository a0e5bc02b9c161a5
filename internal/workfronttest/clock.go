package workfronttest

import (
	"sync"
	"time"
	"unsafe"
)

// Clock is a time that only a test moves. Its Now fits Options.Now, and the client under test.
type Clock struct {
	mu      sync.Mutex
	now     time.Time // of the wall clock
	started time.Time // with the monotonic reading that Reading counts from
	awake   time.Duration
}

// NewClock returns a Clock that stands at the present second.
func NewClock() *Clock {
	started := time.Now()
	return &Clock{now: started.Truncate(time.Second), started: started}
}

// Now returns the time at which the Clock stands, without a monotonic reading.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the Clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.awake += d
}

// Reading returns the time as time.Now does on a machine: with a monotonic reading, by which times are compared that have one. It
// does not go on while the machine is suspended.
func (c *Clock) Reading() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return withMonotonic(c.now, c.started.Add(c.awake))
}

// Suspend moves the Clock, and leaves the monotonic reading where it is, as a machine that is suspended.
func (c *Clock) Suspend(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// withMonotonic returns a wall clock's time with the monotonic reading of another time. Package time has no way to say that,
// because only a running machine can know both, so this writes what it documents about Time: 33 bits of seconds since 1885 and 30
// bits of nanoseconds behind a bit that says so.
func withMonotonic(wall, monotonic time.Time) time.Time {
	type layout struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}
	since1885 := wall.Unix() - time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	both := monotonic
	(*layout)(unsafe.Pointer(&both)).wall = 1<<63 | uint64(since1885)<<30 | uint64(wall.Nanosecond())
	if !both.Round(0).Equal(wall) || both.Sub(monotonic) != 0 {
		panic("package time has changed the layout of Time")
	}
	return both
}
