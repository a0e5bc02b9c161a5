package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// One host that hangs must not keep the pending logouts of another from their turn.
func TestPendingLogoutsOfOneHostDoNotBlockAnother(t *testing.T) {
	f, other := newFixture(t), newFixture(t)
	other.storage = f.storage
	for range 60 {
		f.leavePending()
	}
	other.broker = f.broker
	for range 4 {
		other.leavePending()
	}
	resume := f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	ran := make(chan error, 1)
	go func() { ran <- f.broker.Maintain(context.WithoutCancel(t.Context()), f.storage) }()
	await.That(t, "the other host's sessions are logged out", func() bool { return other.server.Stats().Alive == 0 })
	if len(ran) > 0 || f.server.Stats().CallsUnderWay == 0 {
		t.Error("the other host's logouts waited for those that hang")
	}
	resume()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	f.maintain()
	f.wantNothingLeft()
}

// Runs that are cut short try other sessions each time.
func TestPendingLogoutsAreTriedInRandomOrder(t *testing.T) {
	f := newFixture(t)
	for range 64 {
		f.leavePending()
	}
	var mu sync.Mutex
	tried := make(map[string]bool)
	for range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		cut := storagetest.Over(f.storage, storagetest.Rule{
			On: storagetest.Get, Prefix: "session/",
			Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
				mu.Lock()
				defer mu.Unlock()
				tried[strings.TrimPrefix(c.Key, "session/")] = true
				cancel()
				return ctx.Err()
			},
		})
		_ = f.broker.Maintain(ctx, cut)
		cancel()
		f.clock.Advance(time.Second)
	}
	mu.Lock() // a call to storage that was cut off may still go on
	defer mu.Unlock()
	if len(tried) < 24 { // in the order of the list, it is the first 16 at most
		t.Errorf("60 runs that were cut short have begun with %d of 64 sessions, want more of them", len(tried))
	}
}
