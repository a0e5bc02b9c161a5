package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// share is the session that the readers of a role share: which one is issued, its replacement, and the check that it
// lives. All of it can be found again through storage.
type share struct {
	b    *Broker
	name string

	mu          sync.Mutex // see Broker.mu
	current     string     // ID of the session that is issued; "" if that is not known. The ledger's memory keeps it
	fingerprint string     // of what current was started from
	refresh     *refresh
	triedAt     time.Time // when the last refresh in the background began
	checkedAt   time.Time // when the current session was last known to live
	ended       bool      // Broker.shares holds it no more
}

// share returns the share of that name.
func (b *Broker) share(name string) *share {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[name]
	if s == nil {
		s = &share{b: b, name: name}
		b.shares[name] = s
	}
	return s
}

// dropShare takes a share out of memory, and returns it; nil if there is none.
func (b *Broker) dropShare(name string) *share {
	b.mu.Lock()
	s := b.shares[name]
	delete(b.shares, name)
	b.mu.Unlock()
	if s != nil {
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
	}
	return s
}

// setCurrent replaces the current session, "" for none, and returns the ID of the one before.
func (s *share) setCurrent(id, fingerprint string) (before string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setCurrentLocked(id, fingerprint)
}

func (s *share) setCurrentLocked(id, fingerprint string) (before string) {
	before = s.current
	if id != "" {
		s.b.ledger.Keep(id)
	}
	if before != "" {
		s.b.ledger.Drop(before)
	}
	s.current, s.fingerprint = id, fingerprint
	return before
}

func (s *share) currentID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// currentFor returns the current session if it was started from what the fingerprint stands for, else "".
func (s *share) currentFor(fingerprint string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fingerprint != fingerprint {
		return ""
	}
	return s.current
}

// condition says what may be done with a shared session.
type condition int

const (
	fresh   condition = iota // it is issued
	stale                    // it is issued, while a replacement is fetched in the background: a quarter of its lifetime is left
	invalid                  // it is not issued; readers wait for a refresh
)

func conditionOf(s *ledger.Session, now time.Time) condition {
	switch left := s.Left(now); {
	case s.State != ledger.StateActive, left < MinLifetime:
		return invalid
	case s.InLastQuarter(now):
		return stale
	}
	return fresh
}

// issuable reports whether a session may be issued.
func (b *Broker) issuable(s *ledger.Session) bool { return conditionOf(s, b.now()) != invalid }

// issue returns a lease on the current session. Only if storage knows none that is good, the reader waits for a refresh.
func (s *share) issue(ctx context.Context, v ledger.View, src Source) (*Lease, error) {
	fingerprint := src.fingerprint()
	p := &patience{ctx: ctx, lasts: src.RequestTimeout}
	defer p.end()
	for {
		lease, err := s.attach(ctx, p, v, src, fingerprint)
		if lease != nil || err != nil {
			return lease, err
		}
		if s, err = s.awaitRefresh(ctx, p.begin(), v, src, fingerprint); err != nil {
			return nil, err
		}
	}
}

// patience is how long a reader waits. It begins with the first wait: most readers have none.
type patience struct {
	ctx     context.Context
	lasts   time.Duration
	limited context.Context // nil before begin
	cancel  context.CancelFunc
}

// begin returns the reader's context with the time that it waits.
func (p *patience) begin() context.Context {
	if p.limited == nil {
		p.limited, p.cancel = context.WithTimeout(p.ctx, p.lasts)
	}
	return p.limited
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// attach adds a lease to the current session, if that is good. It returns none if there is none, or if the session is
// being ended. It never waits for Workfront.
func (s *share) attach(
	ctx context.Context, p *patience, v ledger.View, src Source, fingerprint string,
) (*Lease, error) {
	b := s.b
	// Whether the lease was stored must be known, so the call is not cut off with its reader.
	outliving := context.WithoutCancel(ctx)
	for read := false; ; read = true {
		id := s.currentFor(fingerprint)
		if id == "" {
			return nil, nil
		}
		session, lease, err := v.Attach(outliving, id, b.issuable)
		if session == nil {
			if read {
				return nil, nil
			}
			// Memory may be behind storage: a write failed, or another node wrote.
			switch live, err := v.Reread(p.begin(), id); {
			case ledger.IsUnreadable(err):
				return nil, nil // a new one is started
			case err != nil && ctx.Err() == nil && p.begin().Err() != nil:
				return nil, notSent(ctx)
			case err != nil || !live:
				return nil, err
			}
			continue
		}
		issued := newLease(lease, session, session.ExpiresAt)
		now := b.now()
		issued.Left = session.Left(now)
		moved := errors.Is(err, ledger.ErrMoved) || conditionOf(session, now) == invalid // storage may have taken its time
		if moved {
			err = nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || moved {
			if moved {
				b.releaseMoved(outliving, v, issued)
			} else {
				b.releaseUndelivered(outliving, v, issued)
			}
			if err != nil || read {
				return nil, err
			}
			continue
		}
		s.scheduleBackground(outliving, v, src, fingerprint, session)
		return issued, nil
	}
}

// scheduleBackground begins what is due for the current session, and what no reader waits for.
func (s *share) scheduleBackground(
	ctx context.Context, v ledger.View, src Source, fingerprint string, session *ledger.Session,
) {
	b, now := s.b, s.b.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != session.ID() {
		return // it was replaced, or the role deleted, a moment ago
	}
	if conditionOf(session, now) != fresh && s.refresh == nil && now.Sub(s.triedAt) >= refreshEvery {
		s.triedAt = now                                                 // whatever comes of it
		_ = s.startRefreshLocked(ctx, v, src, fingerprint, forNoReader) // the next reader tries again
	}
	if now.Sub(s.checkedAt) >= checkEvery && !b.young.has(session) && b.begin() == nil {
		s.checkedAt = now
		go func() {
			defer b.inFlight.Done()
			s.check(ctx, v, src, fingerprint, session)
		}()
	}
}

// lockHint makes a hint and what memory issues agree: it is held while a refresh writes both, and while the end of a
// share takes both back. No reader waits for it but through a refresh, and each call to storage under it ends. It
// returns what releases it.
func (s *share) lockHint() (release func()) { return s.b.lockHint(s.name) }

func (b *Broker) lockHint(share string) (release func()) {
	lock := locksutil.LockForKey(b.hints, share)
	lock.Lock()
	return lock.Unlock
}

// hint returns what storage names as the current session of a share. It is only a hint: one that cannot be read is
// dropped.
func (b *Broker) hint(ctx context.Context, v ledger.View, name string) (ledger.Shared, error) {
	hint, err := v.Shared(ctx, name)
	if ledger.IsUnreadable(err) {
		b.logger.Warn("dropping an unreadable hint at a shared session", "error", err)
		return ledger.Shared{}, v.DeleteShared(ctx, name)
	}
	return hint, err
}

// publish makes a session current, in storage and in memory, unless its share was ended in the meantime.
func (s *share) publish(ctx context.Context, v ledger.View, r *refresh, id string) (current bool, err error) {
	defer s.lockHint()()
	if !s.wants(r) {
		return false, nil
	}
	if err := v.SetShared(ctx, s.name, ledger.Shared{SessionID: id, Fingerprint: r.fingerprint}); err != nil {
		return false, err
	}
	return s.makeCurrent(r, id, s.b.now()), nil
}

// makeCurrent issues a session from now on, unless its share was ended in the meantime.
func (s *share) makeCurrent(r *refresh, id string, checkedAt time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wantsLocked(r) {
		return false
	}
	if s.current != id || checkedAt.After(s.checkedAt) {
		s.checkedAt = checkedAt
	}
	s.setCurrentLocked(id, r.fingerprint)
	return true
}
