package session

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"vault-plugin-secrets-workfront/internal/ledger"
)

const (
	// pageMin and pageMax are how many leases an entry in storage holds when it is written. Fewer are not worth an entry that
	// has to be read when the session is loaded; more would make it large: 64 are 2.3 KB.
	pageMin, pageMax = 4, 64
	// parallelReads is how many pages of a session are read at a time.
	parallelReads = 16
)

// leaseSet is the leases on one session, in memory, and where they are stored. Leases that are added during a write go with
// the next one, and from pageMin on together into one entry: a page. Those that are removed from a page during its write go
// with its next one.
//
//   - add and remove return when that is stored. Whoever calls them uses or holds the session until then, so that nobody ends
//     it in between.
//   - What others wait for as well, add and removeOther, is not cut off with ctx.
//   - A page is written with all of its leases at once, and only shrinks afterwards. If a write of it fails and storage
//     carries it out after a later one, leases that were removed meanwhile are back there, and the session lives until it
//     expires. No lease is lost by that.
//   - After an error, storage may or may not have taken the change, for all that waited: the set has to be read anew.
//
// It is safe for concurrent use.
type leaseSet struct {
	adding *queue

	mu    sync.Mutex
	pages map[ledger.LeaseID]*page // of each lease; nil for one that is stored elsewhere
	// unreadable are pages that hold nobody knows which leases, and why. As long as there is one, no lease is the last.
	unreadable map[ledger.PageID]error
}

// page is several leases in one entry in storage. leaseSet.mu guards what is in it.
type page struct {
	id       ledger.PageID
	leases   []ledger.LeaseID
	removing *queue // nil until the first removal; most pages go a long time without one
}

func newLeaseSet() *leaseSet {
	return &leaseSet{adding: newQueue(slowWrite), pages: make(map[ledger.LeaseID]*page)}
}

// readLeases returns the leases on a session as storage has them. The error is a failure of storage.
func readLeases(ctx context.Context, l ledger.Ledger, s *ledger.Session) (*leaseSet, error) {
	stored, err := l.Leases(ctx, s)
	if err != nil {
		return nil, err
	}
	set := newLeaseSet()
	for _, lease := range stored.Own {
		set.note(lease)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for _, id := range stored.Pages {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // another one failed
			}
			leases, err := l.Page(ctx, s.ID(), id)
			if isUnreadable(err) {
				set.noteUnreadable(id, err)
				return nil
			}
			set.notePage(id, leases)
			return err
		})
	}
	return set, group.Wait()
}

// len returns how many leases there are; those in an unreadable page count as one.
func (s *leaseSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lenLocked()
}

func (s *leaseSet) lenLocked() int { return len(s.pages) + len(s.unreadable) }

func (s *leaseSet) has(lease ledger.LeaseID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, on := s.pages[lease]
	return on
}

// inPage tells whether a lease is stored in a page.
func (s *leaseSet) inPage(lease ledger.LeaseID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages[lease] != nil
}

// damage returns why a page cannot be read, nil if all of them can.
func (s *leaseSet) damage() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.unreadable {
		return err
	}
	return nil
}

// note adds a lease that is stored elsewhere than in a page, or is going to be.
func (s *leaseSet) note(lease ledger.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[lease] = nil
}

func (s *leaseSet) notePage(id ledger.PageID, leases []ledger.LeaseID) {
	p := &page{id: id, leases: slices.Clone(leases)} // drops the batch's spare capacity
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lease := range leases {
		s.pages[lease] = p
	}
}

func (s *leaseSet) noteUnreadable(id ledger.PageID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreadable == nil {
		s.unreadable = make(map[ledger.PageID]error)
	}
	s.unreadable[id] = err
}

// stored returns where the leases are stored.
func (s *leaseSet) stored() ledger.Leases {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := ledger.Leases{Pages: slices.Collect(maps.Keys(s.unreadable))}
	listed := make(map[*page]bool)
	for lease, p := range s.pages {
		switch {
		case p == nil:
			stored.Own = append(stored.Own, lease)
		case !listed[p]:
			listed[p] = true
			stored.Pages = append(stored.Pages, p.id)
		}
	}
	return stored
}

// add adds a lease, and stores it.
func (s *leaseSet) add(ctx context.Context, l ledger.Ledger, session *ledger.Session, lease ledger.LeaseID) error {
	s.note(lease)
	if !session.MayHavePages() {
		return l.AddLease(ctx, session.ID(), lease)
	}
	outliving := context.WithoutCancel(ctx)
	return s.adding.do(lease, func(leases []ledger.LeaseID) error {
		if len(leases) < pageMin {
			return addEach(outliving, l, session.ID(), leases)
		}
		id := ledger.NewPageID()
		if err := l.SetPage(outliving, session.ID(), id, leases); err != nil {
			_ = l.SetPage(outliving, session.ID(), id, nil) // storage may have taken it all the same, and nobody gets these leases
			return err
		}
		s.notePage(id, leases)
		return nil
	})
}

// addEach gives each lease an entry of its own.
func addEach(ctx context.Context, l ledger.Ledger, id string, leases []ledger.LeaseID) error {
	if len(leases) == 1 {
		return l.AddLease(ctx, id, leases[0])
	}
	var group errgroup.Group
	for _, lease := range leases {
		group.Go(func() error { return l.AddLease(ctx, id, lease) })
	}
	return group.Wait()
}

// remove removes a lease, in storage as well. It need not be in the set.
func (s *leaseSet) remove(ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID) error {
	return s.unstore(ctx, l, id, lease, s.drop(lease))
}

// removeOther is remove if the lease is neither the last one nor kept; else it does nothing, and done is false.
func (s *leaseSet) removeOther(
	ctx context.Context, l ledger.Ledger, id string, lease, kept ledger.LeaseID,
) (done bool, err error) {
	s.mu.Lock()
	if !s.hasOtherLocked(lease, kept) {
		s.mu.Unlock()
		return false, nil
	}
	p := s.dropLocked(lease)
	s.mu.Unlock()
	if p != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err = s.unstore(ctx, l, id, lease, p)
	return err == nil, err
}

// hasOther tells whether removeOther would remove the lease.
func (s *leaseSet) hasOther(lease, kept ledger.LeaseID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasOtherLocked(lease, kept)
}

func (s *leaseSet) hasOtherLocked(lease, kept ledger.LeaseID) bool {
	others := s.lenLocked()
	if _, on := s.pages[lease]; on {
		others--
	}
	return lease != kept && others > 0
}

// drop takes a lease out of memory alone, and returns the page that it is stored in, nil for none.
func (s *leaseSet) drop(lease ledger.LeaseID) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropLocked(lease)
}

func (s *leaseSet) dropLocked(lease ledger.LeaseID) *page {
	p := s.pages[lease]
	delete(s.pages, lease)
	if p != nil {
		p.leases = slices.DeleteFunc(p.leases, func(other ledger.LeaseID) bool { return other == lease })
	}
	return p
}

// unstore removes a lease from storage that was in p, nil if it was in no page.
func (s *leaseSet) unstore(ctx context.Context, l ledger.Ledger, id string, lease ledger.LeaseID, p *page) error {
	if p == nil {
		return l.RemoveLease(ctx, id, lease)
	}
	return s.removalQueue(p).do(lease, func([]ledger.LeaseID) error {
		s.mu.Lock()
		left := slices.Clone(p.leases)
		s.mu.Unlock()
		return l.SetPage(ctx, id, p.id, left)
	})
}

// removalQueue returns the queue of removals from a page, and creates it on its first use.
func (s *leaseSet) removalQueue(p *page) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.removing == nil {
		p.removing = newQueue(0)
	}
	return p.removing
}
