package settings

import (
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/session"
)

// keptFor is how long anything is kept, whatever happened: what another node has written, or storage has carried out late, counts
// after that at the latest.
const keptFor = time.Minute

// cache keeps resolved settings between reads, by the name of the role, because parsing a key takes longer than
// signing with it. What is missing is never kept. Its zero value is empty.
type cache struct {
	mu         sync.Mutex
	kept       map[string]kept[*Resolved]
	trust      kept[*session.Trust]
	expiries   kept[map[string]time.Time] // of certificates, by the name of the key; not changed once it is here
	generation uint64                     // counts drops, so that what was read before one is not kept after it
	writing    int                        // writes that are under way
	notBefore  time.Time                  // nothing is kept until then
}

// kept is a value, and a moment before it was read.
type kept[T any] struct {
	value T
	at    time.Time
}

// isRecent reports whether the value may be used. The monotonic clock stands still while the machine is suspended, and the wall
// clock can be set.
func (k kept[T]) isRecent(now time.Time) bool {
	return isRecent(now.Sub(k.at)) && isRecent(now.Round(0).Sub(k.at.Round(0)))
}

func isRecent(age time.Duration) bool { return 0 <= age && age < keptFor }

// reading is what was the case before something was read.
type reading struct {
	at         time.Time
	generation uint64
}

// get returns what is kept for a role, or nil, and what keep needs then.
func (c *cache) get(role string, now time.Time) (*Resolved, reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := reading{now, c.generation}
	if k, ok := c.kept[role]; ok && k.isRecent(now) {
		return k.value, r
	}
	return nil, r
}

// keep takes what was read since r, unless there was a drop in between.
func (c *cache) keep(role string, value *Resolved, r reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mayKeep(r) {
		return
	}
	if c.kept == nil {
		c.kept = make(map[string]kept[*Resolved])
	}
	c.kept[role] = kept[*Resolved]{value, r.at}
}

// mayKeep reports whether what was read since r may be kept. c.mu is held.
func (c *cache) mayKeep(r reading) bool {
	return c.generation == r.generation && c.writing == 0 && !r.at.Before(c.notBefore)
}

// trusted returns what is kept, or nil, as get does.
func (c *cache) trusted(now time.Time) (*session.Trust, reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := reading{now, c.generation}
	if c.trust.isRecent(now) {
		return c.trust.value, r
	}
	return nil, r
}

// keepTrust takes t, as keep does.
func (c *cache) keepTrust(t *session.Trust, r reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mayKeep(r) {
		c.trust = kept[*session.Trust]{t, r.at}
	}
}

// knownExpiries returns what is kept, as get does. What is added to it gets no older than it.
func (c *cache) knownExpiries(now time.Time) (map[string]time.Time, reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expiries.isRecent(now) {
		return c.expiries.value, reading{c.expiries.at, c.generation}
	}
	return nil, reading{now, c.generation}
}

// keepExpiries takes expiries, as keep does.
func (c *cache) keepExpiries(expiries map[string]time.Time, r reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mayKeep(r) {
		c.expiries = kept[map[string]time.Time]{expiries, r.at}
	}
}

func (c *cache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked()
}

func (c *cache) dropLocked() {
	c.kept, c.trust, c.expiries = nil, kept[*session.Trust]{}, kept[map[string]time.Time]{}
	c.generation++
}

// beginWrite drops everything, and keeps nothing until endWrite: storage may carry a write out long before it says so.
func (c *cache) beginWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing++
	c.dropLocked()
}

// endWrite ends what beginWrite began. Nothing that was read before notBefore is kept.
func (c *cache) endWrite(notBefore time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing--
	c.dropLocked()
	if notBefore.After(c.notBefore) {
		c.notBefore = notBefore
	}
}
