package session

import (
	"context"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// share is what memory knows of the session that the readers of a role share. All of it can be found again through storage.
// Broker.mu guards it.
type share struct {
	name        string
	current     *handle // of the session that is issued; nil if that is not known. It is kept in memory for it
	fingerprint string  // of what current was started from
	refresh     *refresh
	triedAt     time.Time // when the last refresh in the background began
	checkedAt   time.Time // when the current session was last known to live
}

// shareLocked returns the share of that name.
func (b *Broker) shareLocked(name string) *share {
	s := b.shares[name]
	if s == nil {
		s = &share{name: name}
		b.shares[name] = s
	}
	return s
}

// setCurrentLocked replaces the current session; nil for none.
func (b *Broker) setCurrentLocked(s *share, h *handle, fingerprint string) {
	old := s.current
	if h != nil {
		h.refs++
	}
	s.current, s.fingerprint = h, fingerprint
	if old != nil {
		b.unrefLocked(old)
	}
}

// forgetLocked drops what memory knows of a share, and returns the ID of its current session, or "".
func (b *Broker) forgetLocked(name string) string {
	s := b.shares[name]
	if s == nil {
		return ""
	}
	delete(b.shares, name)
	if s.current == nil {
		return ""
	}
	id := s.current.id
	b.setCurrentLocked(s, nil, "")
	return id
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

// issuable tells whether a session may be issued.
func (b *Broker) issuable(s *ledger.Session) bool { return conditionOf(s, b.now()) != invalid }

// issueShared returns a lease on the current session of the role's share. Only if memory knows none that is good, the reader
// waits for a refresh.
func (b *Broker) issueShared(ctx context.Context, l ledger.Ledger, src Source) (*Lease, error) {
	fingerprint := src.fingerprint()
	p := &patience{ctx: ctx, lasts: src.RequestTimeout}
	defer p.end()
	for {
		lease, err := b.attachCurrent(ctx, p, l, src, fingerprint)
		if lease != nil || err != nil {
			return lease, err
		}
		if err := b.awaitRefresh(ctx, p.begin(), l, src, fingerprint); err != nil {
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

// attachCurrent adds a lease to the current session, if memory knows one that is good. It never waits for Workfront: where
// storage failed, or a revocation has the session to itself, it reads the session anew.
func (b *Broker) attachCurrent(
	ctx context.Context, p *patience, l ledger.Ledger, src Source, fingerprint string,
) (*Lease, error) {
	b.mu.Lock()
	s := b.shareLocked(shareName(src.Role))
	known := s.current != nil && s.fingerprint == fingerprint
	var id string
	if known {
		id = s.current.id
	}
	b.mu.Unlock()
	if !known {
		return nil, nil
	}
	lease := ledger.NewLeaseID()
	// Whether the lease was stored must be known, so the call is not cut off with its reader.
	outliving := context.WithoutCancel(ctx)
	session, err := b.attach(outliving, l, id, lease, b.issuable)
	if session == nil && err == nil {
		session, err = b.attachInTurn(outliving, p, l, id, lease)
	}
	if session == nil {
		return nil, err
	}
	issued := newLease(lease, session, session.ExpiresAt)
	if err == nil {
		err = ctx.Err()
	}
	now := b.now()
	issued.Left = session.Left(now)
	if err != nil || conditionOf(session, now) == invalid { // storage may have taken its time
		b.releaseUndelivered(outliving, l, issued)
		return nil, err
	}
	b.scheduleBackground(outliving, l, src, fingerprint, session)
	return issued, nil
}

// scheduleBackground begins what is due for the current session, and what no reader waits for.
func (b *Broker) scheduleBackground(
	ctx context.Context, l ledger.Ledger, src Source, fingerprint string, session *ledger.Session,
) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[shareName(src.Role)]
	if s == nil || s.current == nil || s.current.id != session.ID() {
		return // it was replaced, or the role deleted, a moment ago
	}
	if conditionOf(session, now) != fresh && s.refresh == nil && now.Sub(s.triedAt) >= refreshEvery {
		s.triedAt = now                                                     // whatever comes of it
		_ = b.startRefreshLocked(ctx, l, src, fingerprint, s, inBackground) // the next reader tries again
	}
	if now.Sub(s.checkedAt) >= checkEvery && !b.young.has(session) && b.beginLocked() == nil {
		s.checkedAt = now
		go func() {
			defer b.inFlight.Done()
			b.checkAlive(ctx, l, src, fingerprint, session)
		}()
	}
}
