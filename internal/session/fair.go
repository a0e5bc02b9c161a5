package session

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"vault-plugin-secrets-workfront/internal/ledger"
)

const (
	// parallelEnds is how many sessions are ended at a time.
	parallelEnds = 16
	// parallelEndsOfHost is how many of them may be one host's where one that hangs must not keep others from their turn.
	parallelEndsOfHost = parallelEnds / 2
)

// hostTurns limits how many sessions of one host are worked on at a time. nil limits nothing. It is safe for concurrent use.
type hostTurns struct {
	mu     sync.Mutex
	active map[string]int
	queued map[string][]int // places in the list that is worked on
}

func newHostTurns() *hostTurns {
	return &hostTurns{active: make(map[string]int), queued: make(map[string][]int)}
}

// take takes a turn for the session in a place of the list. If there is none, it queues the place and returns false.
func (t *hostTurns) take(host string, place int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active[host] == parallelEndsOfHost {
		t.queued[host] = append(t.queued[host], place)
		return false
	}
	t.active[host]++
	return true
}

// pass gives a turn to a place that is queued for it, or ends it if there is none.
func (t *hostTurns) pass(host string) (place int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	queue := t.queued[host]
	if len(queue) == 0 {
		t.active[host]--
		return 0, false
	}
	t.queued[host] = queue[1:]
	return queue[0], true
}

// each calls do for each session, several at a time, while it holds the session. What fails for one does not keep the others
// from their turn; the end of begins does, after which no other one is begun. Sessions whose entries cannot be read are left
// alone, and the log says how many.
func (b *Broker) each(
	ctx, begins context.Context, v ledger.View, ids []string, do func(context.Context, *ledger.Held) error,
) error {
	return b.eachInTurn(ctx, begins, v, ids, nil, do)
}

// eachInTurn is each, with no more sessions of one host at a time than turns allows.
func (b *Broker) eachInTurn(
	ctx, begins context.Context, v ledger.View, ids []string, turns *hostTurns, do func(context.Context, *ledger.Held) error,
) error {
	var group errgroup.Group
	group.SetLimit(parallelEnds)
	var mu sync.Mutex
	errs := make([]error, len(ids)) // a place that is queued is visited twice
	failed := func(place int, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs[place] = err
	}
	for i := range ids {
		if begins.Err() != nil {
			break
		}
		group.Go(func() error {
			host := "" // whose turn this goroutine has
			visit := func(place int) {
				err := b.visit(ctx, v, ids[place], func(ctx context.Context, h *ledger.Held) error {
					if s := h.Session(); turns != nil && host == "" && s != nil {
						if !turns.take(s.Endpoint.BaseURL, place) {
							return nil // for the goroutine whose turn is over first
						}
						host = s.Endpoint.BaseURL
					}
					return do(ctx, h)
				})
				if err != nil {
					failed(place, err)
				}
			}
			visit(i)
			for host != "" && begins.Err() == nil {
				next, ok := turns.pass(host)
				if !ok {
					break
				}
				visit(next)
			}
			return nil
		})
	}
	_ = group.Wait()
	readable := slices.DeleteFunc(errs, ledger.IsUnreadable)
	if n := len(ids) - len(readable); n > 0 {
		b.logger.Error("sessions left alone: their storage entries are damaged, or written by a newer version of this plugin; "+
			"see `vault list -detailed` of this mount's sessions", "sessions", n)
	}
	return errors.Join(append(readable, ctx.Err())...)
}

// visit calls do while it holds a session.
func (b *Broker) visit(
	ctx context.Context, v ledger.View, id string, do func(context.Context, *ledger.Held) error,
) error {
	h, err := v.Hold(ctx, id)
	if err != nil {
		return err
	}
	defer h.Release()
	return do(ctx, h)
}
