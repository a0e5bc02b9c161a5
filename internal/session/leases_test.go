package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// duringLeaseWrite is storage that calls begin once, ahead of the first write of a lease.
func duringLeaseWrite(s logical.Storage, begin func()) logical.Storage {
	return storagetest.Over(s, storagetest.Rule{
		On: storagetest.Writes, Prefix: "lease/", Times: 1, Then: storagetest.First(begin),
	})
}

// awaitBatch waits until so many leases of a session go with the next write.
func (f *fixture) awaitBatch(id string, n int) {
	f.t.Helper()
	await.That(f.t, fmt.Sprintf("%d leases go with the next write", n), func() bool { return f.broker.InBatches(id) == n })
}

// awaitAll waits for what goes on beside an operation, or for the death of its process, when ctx ends.
func awaitAll(ctx context.Context, all *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// inOnePage is how many leases readTogether has stored in one entry.
const inOnePage = 4

// readTogether has a reader come whose lease has an entry of its own, and during its write others, whose leases are stored
// together. The books have a lease on the session already.
func readTogether(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
	id := append(b.held, b.revoked...)[0].SessionID
	var all sync.WaitGroup
	defer awaitAll(ctx, &all)
	return read(ctx, f, duringLeaseWrite(s, func() {
		for range inOnePage {
			all.Go(func() { _ = read(ctx, f, s, b) })
		}
		f.awaitBatch(id, inOnePage)
	}), b)
}

// toRevokeTogether prepares leases that Vault is to revoke, those in one entry first.
func toRevokeTogether(f *fixture, b *books) {
	all := &books{held: []*session.Lease{f.issue()}}
	if err := readTogether(f.t.Context(), f, f.storage, all); err != nil {
		f.t.Fatal(err)
	}
	var own []*session.Lease
	for _, l := range all.held {
		if strings.Contains(l.ID, fmt.Sprintf(".%d-", inOnePage)) {
			b.revoked = append(b.revoked, l)
		} else {
			own = append(own, l)
		}
	}
	if len(b.revoked) != inOnePage {
		f.t.Fatalf("stored together: got %d leases, want %d", len(b.revoked), inOnePage)
	}
	b.revoked = append(b.revoked, own...)
}

// revokeTogether has Vault revoke the leases in one entry: one, during its write others, and then the last.
func revokeTogether(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
	first, others, last := b.revoked[0], b.revoked[1:inOnePage-1], b.revoked[inOnePage-1]
	results := make(chan error, len(others))
	var all sync.WaitGroup
	err := func() error {
		defer awaitAll(ctx, &all)
		return f.broker.Release(ctx, duringLeaseWrite(s, func() {
			for _, l := range others {
				all.Go(func() { results <- f.broker.Release(ctx, s, l.LeaseRef) })
			}
			f.awaitBatch(first.SessionID, len(others))
		}), first.LeaseRef)
	}()
	for range len(results) {
		err = errors.Join(err, <-results)
	}
	return errors.Join(err, f.broker.Release(ctx, s, last.LeaseRef))
}

// leaseEntries returns the keys of all leases in storage.
func (f *fixture) leaseEntries() []string {
	f.t.Helper()
	return slices.DeleteFunc(f.storage.Keys(f.t), func(key string) bool { return !strings.HasPrefix(key, "lease/") })
}

// wantLeases checks how many leases a session has, in memory and in storage.
func (f *fixture) wantLeases(l *session.Lease, want int) {
	f.t.Helper()
	s, err := f.broker.Session(f.t.Context(), f.storage, l.SessionID)
	if err != nil || s == nil {
		f.t.Fatalf("session: got %v, %v", s, err)
	}
	inMemory, err1 := f.broker.Leases(f.t.Context(), f.storage, s)
	inStorage, err2 := f.newBroker().Leases(f.t.Context(), f.storage, s)
	if inMemory != want || inStorage != want || err1 != nil || err2 != nil {
		f.t.Errorf("leases: got %d in memory and %d in storage (%v, %v), want %d", inMemory, inStorage, err1, err2, want)
	}
}

// Readers who come while a lease is written are answered after one more write, not one each. A page holds 64 leases at most.
func TestReadersShareAWrite(t *testing.T) {
	for _, tt := range []struct {
		waves   []int // of readers, the next when all of them go with one write
		entries int
	}{{[]int{1}, 1}, {[]int{3}, 1}, {[]int{4}, 1}, {[]int{64}, 1}, {[]int{64, 1}, 2}, {[]int{64, 64, 22}, 3}} {
		t.Run(fmt.Sprint(tt.waves), func(t *testing.T) {
			readers := 0
			for _, wave := range tt.waves {
				readers += wave
			}
			f := newSharedFixture(t)
			b := &books{}
			readOnce(f, b)
			var all sync.WaitGroup
			var writes int
			err := read(t.Context(), f, duringLeaseWrite(f.storage, func() {
				for _, wave := range tt.waves {
					for range wave {
						all.Go(func() { _ = read(t.Context(), f, f.storage, b) })
					}
					f.awaitBatch(b.held[0].SessionID, wave)
				}
				writes = f.storage.Calls(storagetest.Writes)
			}), b)
			all.Wait()
			if err != nil || len(b.held) != readers+2 {
				t.Fatalf("got %d leases and %v, want %d", len(b.held), err, readers+2)
			}
			if got := f.storage.Calls(storagetest.Writes) - writes - 1; got != tt.entries {
				t.Errorf("writes: got %d, want %d", got, tt.entries)
			}
			f.wantLeases(b.held[0], readers+2)
			for i, l := range b.held {
				f.wantAlive(l, true)
				f.release(l)
				f.release(l) // twice is once
				if left := len(b.held) - i - 1; left > 0 {
					f.wantLeases(l, left)
				}
			}
			f.wantAlive(b.held[0], false)
			f.wantOnlyCurrent()
		})
	}
}

// Leases that are revoked during a write to their entry are taken out of it with one more.
func TestRevocationsShareAWrite(t *testing.T) {
	f := newSharedFixture(t)
	b := &books{}
	toRevokeTogether(f, b)
	writes := f.storage.Calls(storagetest.Writes)
	if err := revokeTogether(t.Context(), f, f.storage, b); err != nil {
		t.Fatal(err)
	}
	if got := f.storage.Calls(storagetest.Writes) - writes; got != 3 {
		t.Errorf("writes for %d revocations: got %d, want 3", inOnePage, got)
	}
	f.wantLeases(b.revoked[inOnePage], len(b.revoked)-inOnePage)
	if keys := f.leaseEntries(); len(keys) != len(b.revoked)-inOnePage {
		t.Errorf("entries of leases: got %v, want those of the %d that are left", keys, len(b.revoked)-inOnePage)
	}
}

// Those of a process that has just started, and has to read the session first, are taken out of their page with one write.
func TestFirstRevocationsShareAWrite(t *testing.T) {
	f := newSharedFixture(t)
	b := &books{}
	toRevokeTogether(f, b)
	id, revoked := b.revoked[0].SessionID, b.revoked[1:] // one lease in the page is left
	f.broker = f.newBroker()
	storage := storagetest.Over(f.storage,
		storagetest.Rule{On: storagetest.Get, Prefix: "session/" + id, Then: storagetest.First(func() {
			await.That(t, "all wait for the session", func() bool { return f.broker.References(id) == 2*len(revoked) })
		})},
	)
	writes := f.storage.Calls(storagetest.Writes)
	var all sync.WaitGroup
	for _, l := range revoked {
		all.Go(func() {
			if err := f.broker.Release(t.Context(), storage, l.LeaseRef); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, want := f.storage.Calls(storagetest.Writes)-writes, 1+len(b.revoked)-inOnePage; got != want {
		t.Errorf("writes: got %d, want %d, one for the page", got, want)
	}
	f.wantLeases(b.revoked[0], 1)
}

// A reader who leaves takes nothing from those whose leases are written with theirs.
func TestReaderLeavesDuringACommonWrite(t *testing.T) {
	f := newSharedFixture(t)
	b := &books{}
	readOnce(f, b)
	id := b.held[0].SessionID
	leaving, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	left := make(chan error, 2)
	err := read(t.Context(), f, duringLeaseWrite(f.storage, func() {
		// The first of a batch writes it, so one who leaves comes first, and one later.
		all.Go(func() { left <- read(leaving, f, f.storage, &books{}) })
		f.awaitBatch(id, 1)
		for range 2 {
			all.Go(func() { _ = read(t.Context(), f, f.storage, b) })
		}
		f.awaitBatch(id, 3)
		all.Go(func() { left <- read(leaving, f, f.storage, &books{}) })
		f.awaitBatch(id, 4)
		leave()
	}), b)
	all.Wait()
	for range 2 {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("those who left: got %v", err)
		}
	}
	if err != nil || len(b.held) != 4 {
		t.Fatalf("those who stayed: got %d leases and %v, want 4", len(b.held), err)
	}
	f.wantLeases(b.held[0], 4)
}

// A revocation that is given up during a write takes nothing from those that go with it.
func TestRevocationGivenUpDuringACommonWrite(t *testing.T) {
	f := newSharedFixture(t)
	b := &books{}
	toRevokeTogether(f, b)
	id := b.revoked[0].SessionID
	leaving, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	results := make(chan error, 2)
	err := f.broker.Release(t.Context(), duringLeaseWrite(f.storage, func() {
		all.Go(func() {
			// Storage does nothing for a call that was given up.
			storage := storagetest.Over(f.storage, storagetest.Rule{On: storagetest.Put, Then: storagetest.First(leave)})
			results <- f.broker.Release(leaving, storage, b.revoked[1].LeaseRef)
		})
		f.awaitBatch(id, 1)
		all.Go(func() { results <- f.broker.Release(t.Context(), f.storage, b.revoked[2].LeaseRef) })
		f.awaitBatch(id, 2)
	}), b.revoked[0].LeaseRef)
	all.Wait()
	if err := errors.Join(err, <-results, <-results); err != nil {
		t.Error(err)
	}
	f.wantLeases(b.revoked[0], len(b.revoked)-3)
}

// One write that hangs in storage does not stop the readers who come after it.
func TestReadersDoNotWaitForAWriteThatHangs(t *testing.T) {
	f := newSharedFixture(t)
	b := &books{}
	readOnce(f, b)
	var all sync.WaitGroup
	err := read(t.Context(), f, duringLeaseWrite(f.storage, func() {
		for range 2 * inOnePage {
			all.Go(func() { _ = read(t.Context(), f, f.storage, b) })
		}
		all.Wait()
	}), b)
	if err != nil || len(b.held) != 2*inOnePage+2 {
		t.Errorf("got %d leases and %v, want %d", len(b.held), err, 2*inOnePage+2)
	}
	f.wantLeases(b.held[0], 2*inOnePage+2)
}

// Leases whose common write fails are nobody's, whether or not storage took it.
func TestCommonWriteThatFails(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %t", taken), func(t *testing.T) {
			f := newSharedFixture(t)
			b := &books{}
			readOnce(f, b)
			id := b.held[0].SessionID
			fail := storagetest.Fail(storagetest.ErrBroken)
			if taken {
				fail = storagetest.FailLate(storagetest.ErrBroken)
			}
			var failed atomic.Int64
			var all sync.WaitGroup
			storage := storagetest.Over(f.storage, storagetest.Rule{
				On: storagetest.Put, Prefix: "lease/" + id + "/",
				Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
					failed.Add(1)
					return fail(ctx, c, next)
				},
			})
			results := make(chan error, inOnePage)
			err := read(t.Context(), f, duringLeaseWrite(f.storage, func() {
				for range inOnePage {
					all.Go(func() { results <- read(t.Context(), f, storage, b) })
				}
				f.awaitBatch(id, inOnePage)
			}), b)
			all.Wait()
			for range inOnePage {
				if err := <-results; !errors.Is(err, storagetest.ErrBroken) {
					t.Errorf("got %v, want the failure of storage", err)
				}
			}
			if err != nil || failed.Load() != 1 {
				t.Fatalf("the reader before them got %v; %d common writes failed, want 1", err, failed.Load())
			}
			f.wantLeases(b.held[0], 2)
			for _, l := range b.held {
				f.release(l)
			}
			f.wantAlive(b.held[0], false)
			f.clock.Advance(time.Hour)
			f.expire() // a write that failed may be carried out late, so the index of the expiry stays until then
			f.wantOnlyCurrent()
		})
	}
}

// A page that cannot be read keeps nobody from logging the session out, and its session from being logged out while leases in it
// may live.
func TestUnreadablePage(t *testing.T) {
	for name, entry := range map[string]string{
		"damaged": damagedEntry, "newer": newerEntry, "no bits": `{"version":3,"left":"x"}`,
		"empty": `{"version":3,"left":"0000000000000000"}`, "a bit beyond": `{"version":3,"left":"0000000000000010"}`,
		"of another kind": "{}", "null": "null",
	} {
		for _, terminate := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, by an operator %t", name, terminate), func(t *testing.T) {
				f := newSharedFixture(t)
				b := &books{}
				toRevokeTogether(f, b)
				for _, key := range f.leaseEntries() {
					if strings.HasSuffix(key, fmt.Sprintf(".%d", inOnePage)) {
						f.storage.Set(t, key, entry)
					}
				}
				log := f.logged()
				record, err := f.broker.Session(t.Context(), f.storage, b.revoked[0].SessionID)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.broker.Leases(t.Context(), f.storage, record); !isA[*ledger.DamagedError](err) && !isA[*ledger.NewerError](err) {
					t.Errorf("number of leases: got %v, want an error", err)
				}
				for i, l := range b.revoked {
					err := f.broker.Release(t.Context(), f.storage, l.LeaseRef)
					if refused := isA[*ledger.NewerError](err); refused != (name == "newer" && i < inOnePage) || err != nil && !refused {
						t.Errorf("revocation: got %v", err)
					}
					f.wantAlive(l, true)
				}
				if name == "newer" {
					return // Vault repeats the revocations until a newer build is installed
				}
				if line := lineWith(log, "is damaged"); !strings.Contains(line, "[ERROR]") || !strings.Contains(line, record.ID()) {
					t.Errorf("the log says %q", line)
				}
				if terminate {
					if unreadable, err := f.broker.Terminate(t.Context(), f.storage, record.ID()); unreadable || err != nil {
						t.Errorf("termination: got unreadable %t, %v", unreadable, err)
					}
				} else {
					f.clock.Advance(time.Hour)
					f.expire()
				}
				f.wantAlive(b.revoked[0], false)
				f.wantOnlyCurrent()
			})
		}
	}
}
