package storagetest

import (
	"context"
	"runtime"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

// Breakdown is what happens at one write of an operation.
type Breakdown struct {
	Name    string
	Applied bool // the write was carried out all the same
	Once    bool // the writes after it succeed
	Dies    bool // the process dies there: nothing comes after it, in storage or at Workfront
}

// Breakdowns are all ways in which an operation can break at a write. Whoever promises something of each operation
// tries each of them at each write, until nothing breaks any more.
var Breakdowns = []Breakdown{
	{Name: "storage fails"},
	{Name: "storage fails, but carries out", Applied: true},
	{Name: "one write fails", Once: true},
	{Name: "one write fails, but is carried out", Once: true, Applied: true},
	{Name: "process dies before", Dies: true},
	{Name: "process dies after", Dies: true, Applied: true},
}

// Breaking is the storage of one operation, that breaks at one of its writes. It makes one call at a time, so that
// there is one write that is the first, the second, and so on.
type Breaking struct {
	*Storage
	// Dead is closed when the process has died. Each goroutine that calls storage then, or has called, ends.
	Dead <-chan struct{}

	mu    sync.Mutex // one call at a time
	broke bool
}

// At returns a view of storage that breaks at the write that follows so many.
func (d Breakdown) At(after int, storage logical.Storage) *Breaking {
	dead := make(chan struct{})
	s := &Breaking{Dead: dead}
	write := Rule{On: Writes, Skip: after, Then: func(ctx context.Context, c Call, next Next) error {
		s.broke = true
		err := ErrBroken
		if d.Applied {
			err = FailLate(ErrBroken)(ctx, c, next)
		}
		if d.Dies {
			close(dead)
			runtime.Goexit()
		}
		return err
	}}
	if d.Once {
		write.Times = 1
	}
	s.Storage = Over(storage, Rule{On: Any, Then: func(ctx context.Context, _ Call, next Next) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.broke && d.Dies {
			runtime.Goexit()
		}
		return next(ctx)
	}}, write)
	return s
}

// Broke tells whether a write broke.
func (s *Breaking) Broke() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broke
}
