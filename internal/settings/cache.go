package settings

import (
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/session"
)

// cache keeps resolved settings between reads, by the name of the role, because parsing a key takes longer than
// signing with it. Its zero value is empty.
type cache struct {
	mu         sync.Mutex
	kept       map[string]*Resolved
	trust      *session.Trust
	expiries   map[string]time.Time // of certificates, by the name of the key; not changed once it is here
	generation uint64               // counts drops, so that what was read before one is not kept after it
	notBefore  time.Time            // nothing is kept until then
}

func (c *cache) get(role string) (kept *Resolved, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[role], c.generation
}

// keep takes r, unless there was a drop since get returned generation.
func (c *cache) keep(role string, r *Resolved, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mayKeep(generation, now) {
		return
	}
	if c.kept == nil {
		c.kept = make(map[string]*Resolved)
	}
	c.kept[role] = r
}

// mayKeep tells whether what was read since generation may be kept. c.mu is held.
func (c *cache) mayKeep(generation uint64, now time.Time) bool {
	return c.generation == generation && !now.Before(c.notBefore)
}

func (c *cache) trusted() (kept *session.Trust, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust, c.generation
}

// keepTrust takes t, as keep does.
func (c *cache) keepTrust(t *session.Trust, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mayKeep(generation, now) {
		c.trust = t
	}
}

func (c *cache) knownExpiries() (kept map[string]time.Time, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expiries, c.generation
}

// keepExpiries takes expiries, as keep does.
func (c *cache) keepExpiries(expiries map[string]time.Time, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mayKeep(generation, now) {
		c.expiries = expiries
	}
}

func (c *cache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.trust, c.expiries = nil, nil, nil
	c.generation++
}

// keepNothing has nothing kept until then.
func (c *cache) keepNothing(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notBefore = until
}
