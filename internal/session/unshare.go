package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// unshareWait is how long a write of settings waits for logouts; what takes longer goes on in the background.
const unshareWait = 2 * time.Second

// Unshare ends the session that the readers of a role share, if no one leases it, because nobody will read it any more. Else
// it ends with its last lease. role is empty for the mount's defaults. It returns when that is done or after two seconds, and
// then goes on in the background. The error is a failure of storage.
func (b *Broker) Unshare(ctx context.Context, storage logical.Storage, role string) error {
	return b.unshareBriefly(ctx, b.ledger.In(storage), []string{shareName(role)})
}

// UnshareExcept is Unshare for all roles that have a shared session, and for the mount's defaults, except those of which
// shared says that they go on sharing.
func (b *Broker) UnshareExcept(ctx context.Context, storage logical.Storage, shared func(role string) bool) error {
	v := b.ledger.In(storage)
	names, err := v.Shares(ctx)
	if err != nil {
		return err
	}
	var ended []string
	for _, name := range names {
		if !shared(roleOf(name)) {
			ended = append(ended, name)
		}
	}
	return b.unshareBriefly(ctx, v, ended)
}

func (b *Broker) unshareBriefly(ctx context.Context, v ledger.View, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := b.begin(); err != nil {
		return err
	}
	outliving := context.WithoutCancel(ctx)
	done := make(chan error, 1)
	go func() {
		defer b.inFlight.Done()
		err := b.unshareAll(outliving, v, names)
		if err != nil {
			b.logger.Warn("failed to end sessions that are not shared any more; they stay alive until they expire", "error", err)
		}
		done <- err
	}()
	waited := time.NewTimer(unshareWait)
	defer waited.Stop()
	select {
	case err := <-done:
		return err
	case <-waited.C:
		return nil
	}
}

// unshareAll ends shares, several at a time.
func (b *Broker) unshareAll(ctx context.Context, v ledger.View, names []string) error {
	var group errgroup.Group
	group.SetLimit(parallelEnds)
	errs := make([]error, len(names))
	for i, name := range names {
		group.Go(func() error {
			errs[i] = b.unshare(ctx, v, name)
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

func (b *Broker) unshare(ctx context.Context, v ledger.View, name string) error {
	named, issued, err := b.forget(ctx, v, name)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range others("", named, issued) {
		errs = append(errs, b.endReplaced(ctx, v, id))
	}
	// The hint goes last: without it, nobody would find the session again if this fails or is cut off. A reader who still
	// goes by the old settings may have it name another one by now.
	if err := errors.Join(errs...); err != nil {
		return err
	}
	defer b.lockHint(name)()
	now, err := b.hint(ctx, v, name)
	if err != nil || now.SessionID == "" || now.SessionID != named {
		return err
	}
	return v.DeleteShared(ctx, name)
}

// forget drops the share from memory. It returns the session IDs that storage and memory named.
func (b *Broker) forget(ctx context.Context, v ledger.View, name string) (named, issued string, err error) {
	defer b.lockHint(name)()
	hint, err := b.hint(ctx, v, name)
	if err != nil {
		return "", "", err
	}
	if s := b.dropShare(name); s != nil {
		issued = s.setCurrent("", "")
	}
	return hint.SessionID, issued, nil
}

// idleShares returns the shares that neither issue a session nor are looking for one: theirs has ended, or a reader came
// with the settings of a role that was deleted.
func (b *Broker) idleShares() []*share {
	b.mu.Lock()
	shares := slices.Collect(maps.Values(b.shares))
	b.mu.Unlock()
	return slices.DeleteFunc(shares, func(s *share) bool { return !s.idle() })
}

func (s *share) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idleLocked()
}

func (s *share) idleLocked() bool {
	if s.refresh != nil {
		return false
	}
	if s.current == "" {
		return true
	}
	known, read := s.b.ledger.Peek(s.current) // not by its expiry: a clock can be wrong
	return read && known == nil
}

// dropIdle drops an idle share from memory, and then the hint that names its session from storage.
func (s *share) dropIdle(ctx context.Context, v ledger.View) error {
	b := s.b
	defer s.lockHint()()
	s.mu.Lock()
	if s.ended || !s.idleLocked() {
		s.mu.Unlock()
		return nil
	}
	s.ended = true
	before := s.setCurrentLocked("", "")
	b.mu.Lock()
	if b.shares[s.name] == s {
		delete(b.shares, s.name)
	}
	b.mu.Unlock()
	s.mu.Unlock()
	if before == "" {
		return nil
	}
	hint, err := b.hint(ctx, v, s.name)
	if err != nil || hint.SessionID != before {
		return err
	}
	return v.DeleteShared(ctx, s.name)
}
