// Package storagetest is a storage that does what a test writes into its script: it fails, hangs, and calls back.
package storagetest

import (
	"context"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// Op is an operation, or a set of them.
type Op uint8

// The operations.
const (
	Get Op = 1 << iota
	Put
	Delete
	List

	Reads  = Get | List
	Writes = Put | Delete
	Any    = Reads | Writes
)

// Call is the call of one operation.
type Call struct {
	Op  Op
	Key string // the prefix, if it is a List
}

// Rule says what becomes of some calls: those of On whose key begins with Prefix, but for the first Skip of them, and
// if Times is set, no more than that many.
type Rule struct {
	On     Op
	Prefix string
	Skip   int
	Times  int
	Then   Action
}

// Storage is a storage in memory, or a view of another one, that follows a script. Any number of calls may be under way
// at a time. A call goes through the rules that there are when it begins, in their order, and is carried out at the end
// unless one of them sees to it that it is not. A rule counts the calls that come as far as to it.
type Storage struct {
	beneath logical.Storage
	script  atomic.Pointer[[]*rule]
	calls   [4]atomic.Int64
}

type rule struct {
	Rule
	seen atomic.Int64 // calls that match, Skip included
}

// New returns an empty storage.
func New(script ...Rule) *Storage { return Over(&logical.InmemStorage{}, script...) }

// Over returns a view of another storage, with a script of its own. What goes through the view follows both scripts.
func Over(beneath logical.Storage, script ...Rule) *Storage {
	s := &Storage{beneath: beneath}
	s.Script(script...)
	return s
}

// Script puts other rules in the place of those that there are: Script() has storage work. A rule may do so, too.
func (s *Storage) Script(rules ...Rule) {
	script := make([]*rule, len(rules))
	for i, r := range rules {
		script[i] = &rule{Rule: r}
	}
	s.script.Store(&script)
}

// Calls returns how many calls of these operations have begun.
func (s *Storage) Calls(of Op) int {
	n := 0
	for i := range s.calls {
		if of&(1<<i) != 0 {
			n += int(s.calls[i].Load())
		}
	}
	return n
}

// Set writes an entry around the script.
func (s *Storage) Set(t testing.TB, key, value string) {
	t.Helper()
	if err := s.beneath.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

// Value reads an entry around the script. It returns "" if there is none.
func (s *Storage) Value(t testing.TB, key string) string {
	t.Helper()
	entry, err := s.beneath.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if entry == nil {
		return ""
	}
	return string(entry.Value)
}

// Keys returns the keys of all entries, sorted, around the script.
func (s *Storage) Keys(t testing.TB) []string {
	t.Helper()
	keys, err := logical.CollectKeys(t.Context(), s.beneath)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

func (r *rule) concerns(c Call) bool {
	if r.On&c.Op == 0 || !strings.HasPrefix(c.Key, r.Prefix) {
		return false
	}
	n := int(r.seen.Add(1)) - r.Skip
	return n > 0 && (r.Times == 0 || n <= r.Times)
}

func (s *Storage) call(ctx context.Context, c Call, carryOut Next) error {
	s.calls[bits.TrailingZeros8(uint8(c.Op))].Add(1)
	return follow(ctx, *s.script.Load(), c, carryOut)
}

func follow(ctx context.Context, script []*rule, c Call, carryOut Next) error {
	for i, r := range script {
		if r.concerns(c) {
			return r.Then(ctx, c, func(ctx context.Context) error { return follow(ctx, script[i+1:], c, carryOut) })
		}
	}
	return carryOut(ctx)
}

// Get implements logical.Storage.
func (s *Storage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	var entry *logical.StorageEntry
	err := s.call(ctx, Call{Get, key}, func(ctx context.Context) (err error) {
		entry, err = s.beneath.Get(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entry, nil
}

// List implements logical.Storage.
func (s *Storage) List(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := s.call(ctx, Call{List, prefix}, func(ctx context.Context) (err error) {
		names, err = s.beneath.List(ctx, prefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// Put implements logical.Storage.
func (s *Storage) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.call(ctx, Call{Put, e.Key}, func(ctx context.Context) error { return s.beneath.Put(ctx, e) })
}

// Delete implements logical.Storage.
func (s *Storage) Delete(ctx context.Context, key string) error {
	return s.call(ctx, Call{Delete, key}, func(ctx context.Context) error { return s.beneath.Delete(ctx, key) })
}
