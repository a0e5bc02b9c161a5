package storagetest

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

// Action is what becomes of a call: its error is what the caller gets. A Get or List that fails returns nothing,
// carried out or not.
type Action func(ctx context.Context, c Call, next Next) error

// Next carries a call out, unless a rule that follows sees to it that it is not.
type Next = func(context.Context) error

// ErrBroken is an error that has no meaning to the plugin.
var ErrBroken = errors.New("storage is broken")

// ReadOnly is the storage of a standby, or of a leader that was replaced.
var ReadOnly = Rule{On: Writes, Then: Fail(logical.ErrReadOnly)}

// Fail fails a call that is not carried out.
func Fail(with error) Action {
	return func(context.Context, Call, Next) error { return with }
}

// FailLate fails a call that is carried out all the same, as a connection that breaks does.
func FailLate(with error) Action {
	return func(ctx context.Context, _ Call, next Next) error {
		if err := next(ctx); err != nil {
			return err
		}
		return with
	}
}

// Hang has a call last until its context is done. It is not carried out.
func Hang(ctx context.Context, _ Call, _ Next) error {
	<-ctx.Done()
	return ctx.Err()
}

// Detach has a call carried out even if its caller leaves.
func Detach(ctx context.Context, _ Call, next Next) error {
	return next(context.WithoutCancel(ctx))
}

// First calls a hook before the call is carried out.
func First(hook func()) Action {
	return func(ctx context.Context, _ Call, next Next) error {
		hook()
		return next(ctx)
	}
}

// Gate holds calls up.
type Gate struct {
	// Reached is closed when the first call is held up.
	Reached <-chan struct{}

	reach func()
	open  chan struct{}
}

// NewGate returns one that is closed.
func NewGate() *Gate {
	reached := make(chan struct{})
	return &Gate{Reached: reached, reach: sync.OnceFunc(func() { close(reached) }), open: make(chan struct{})}
}

// Open has every call go on, and may be called once.
func (g *Gate) Open() { close(g.open) }

// Hold is the action that holds a call up until the gate is open. The call fails if its context is done before.
func (g *Gate) Hold(ctx context.Context, _ Call, next Next) error {
	g.reach()
	select {
	case <-g.open:
		return next(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
