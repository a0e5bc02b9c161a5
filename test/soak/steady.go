package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const (
	sampleEvery = time.Second
	// shortestSteady is about what it takes to see that 100 bytes of each session are kept.
	shortestSteady = time.Minute
	// steadyTimeout is longer than an exchange is held: see holdExchange.
	steadyTimeout = "60s"
)

// steadyOperations leave nothing behind: whatever grows with them is kept for good. They go on without a pause.
var steadyOperations = []operation{
	{"fresh", 60, (*worker).readAndRevoke},
	{"shared", 20, (*worker).shareAndRevoke},
	{"leave", 8, (*worker).leaveAndRevoke},
	{"list", 4, (*worker).listSessions},
	{"delete", 6, (*worker).readAndDelete},
	{"check", 2, (*worker).check},
}

func (w *worker) readAndRevoke(ctx context.Context, s step) {
	s.role, s.share = "fresh", 1 // with the role's ttl
	w.read(ctx, s)
	w.giveAllBack(ctx)
}

func (w *worker) shareAndRevoke(ctx context.Context, s step) {
	s.role, s.share = "shared", 1
	w.read(ctx, s)
	w.use(ctx, s)
	w.giveAllBack(ctx)
}

func (w *worker) leaveAndRevoke(ctx context.Context, s step) {
	s.role, s.share = "fresh", s.share/2 // 75 ms at most
	w.leave(ctx, s)
	w.giveAllBack(ctx)
}

func (w *worker) readAndDelete(ctx context.Context, s step) {
	s.role, s.share = "fresh", 1
	w.read(ctx, s)
	w.deleteSession(ctx, s)
	w.giveAllBack(ctx)
}

func (w *worker) giveAllBack(ctx context.Context) {
	for len(w.leases) > 0 {
		w.giveBack(ctx, w.leases[0])
	}
}

// steadyLoad has the workers do the same all the time, with a Workfront that works, and takes samples of the heap.
//
// For each sample the workers pause between two operations, because what they have under way varies by more than what a
// leak leaves. But an exchange is under way at every moment from the first sample to the last: what the plugin cleans up
// only when none is, it never cleans up on a busy mount.
func (k *soak) steadyLoad(ctx context.Context, workers []*worker) error {
	pid, err := k.process()
	if err != nil {
		return err
	}
	config := k.config()
	config["request_timeout"] = steadyTimeout
	if err := k.write("config", config); err != nil {
		return err
	}
	until, stop := context.WithTimeout(ctx, k.steady)
	defer stop()
	var (
		working sync.WaitGroup
		pause   sync.RWMutex
	)
	for _, w := range workers {
		working.Go(func() {
			for until.Err() == nil {
				s := w.choose(steadyOperations)
				pause.RLock()
				s.operation.do(w, ctx, s)
				pause.RUnlock()
			}
		})
	}
	release := func() {}
	for until.Err() == nil && err == nil {
		pause.Lock()
		before := release
		if release, err = k.holdExchange(ctx); err == nil {
			before()
			err = k.sample(pid)
		}
		pause.Unlock()
		wait(until, sampleEvery)
	}
	working.Wait()
	release()
	return errors.Join(err, ctx.Err())
}

// holdExchange has a reader wait for an exchange that goes on when release is called, and comes back once it is under way.
func (k *soak) holdExchange(ctx context.Context) (release func(), err error) {
	before := k.workfront.Stats().Exchanges
	remove := k.workfront.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointExchange, Times: 1, Hang: workfronttest.HangBeforeHandling,
	})
	var reader sync.WaitGroup
	reader.Go(func() {
		w := &worker{soak: k}
		w.read(ctx, step{role: "fresh", share: 1})
		w.giveAllBack(ctx)
	})
	release = func() { remove(); reader.Wait() }
	return release, poll(ctx, 30*time.Second, func() error {
		if k.workfront.Stats().Exchanges == before {
			return errors.New("the exchange to be held does not come")
		}
		return nil
	})
}

// sample notes the heap that is in use after a garbage collection, with how many sessions were started by then.
func (k *soak) sample(pid int) error {
	heap, err := k.liveHeap(pid)
	if err == nil {
		k.samples = append(k.samples, sample{float64(k.workfront.Stats().Started), float64(heap)})
	}
	return err
}
