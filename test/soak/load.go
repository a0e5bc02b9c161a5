package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// worker does one thing after the other. Its leases are its own: nobody else renews or revokes them one by one.
type worker struct {
	*soak
	random *rand.Rand
	leases []*lease
}

// step is one choice of a worker. All of it is drawn before anything is done, so that it depends on the seed alone.
type step struct {
	operation operation
	role      string  // one of all roles
	share     float64 // of whatever the operation can vary, from 0 to 1
	which     float64 // of the worker's leases, from 0 to 1
	pause     time.Duration
}

type operation struct {
	name   string
	weight int
	do     func(w *worker, ctx context.Context, s step)
}

// operations are what a worker does, with how often. What ends sessions for all is rare enough for most to get old.
var operations = []operation{
	{"read", 300, (*worker).read},
	{"use", 200, (*worker).use},
	{"renew", 120, (*worker).renew},
	{"revoke", 130, (*worker).revoke},
	{"leave", 60, (*worker).leave},
	{"revoke prefix", 3, (*worker).revokePrefix},
	{"revoke parent", 10, (*worker).revokeParent},
	{"list sessions", 20, (*worker).listSessions},
	{"read session", 30, (*worker).readSession},
	{"delete session", 6, (*worker).deleteSession},
	{"end elsewhere", 4, (*worker).endElsewhere},
	{"check", 8, (*worker).check},
	{"write role", 12, (*worker).writeTemporary},
	{"delete role", 8, (*worker).deleteTemporary},
	{"patch config", 8, (*worker).patchConfig},
	{"rotate secret", 3, (*worker).rotateSecret},
	{"rotate key", 3, (*worker).rotateKey},
	{"delete config", 1, (*worker).deleteConfig},
}

// maxPause keeps the workers from being nothing but a load on the processor.
const maxPause = 150 * time.Millisecond

func (w *worker) choose(operations []operation) step {
	s := step{
		role:  allRoles[w.random.IntN(len(allRoles))],
		share: w.random.Float64(),
		which: w.random.Float64(),
		pause: time.Duration(w.random.Int64N(int64(maxPause))),
	}
	weights := 0
	for _, o := range operations {
		weights += o.weight
	}
	n := w.random.IntN(weights)
	for _, o := range operations {
		if n -= o.weight; n < 0 {
			s.operation = o
			break
		}
	}
	return s
}

// makeWorkers gives each worker choices of its own.
func (k *soak) makeWorkers() []*worker {
	workers := make([]*worker, k.workers)
	for i := range workers {
		workers[i] = &worker{soak: k, random: rand.New(rand.NewPCG(k.seed, uint64(i)))}
	}
	return workers
}

// load has the workers work, and Workfront fail, for the time of a round. What was begun is finished.
func (k *soak) load(ctx context.Context, workers []*worker, faults *faultMaker, restarts bool) {
	until, stop := context.WithTimeout(ctx, k.round)
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { faults.run(until, restarts) })
	for _, w := range workers {
		working.Go(func() {
			for until.Err() == nil {
				s := w.choose(operations)
				s.operation.do(w, ctx, s)
				wait(until, s.pause)
			}
		})
	}
	working.Wait()
}

// wait waits for a time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// poll is vaultserver.Poll, which ends early when ctx does.
func poll(ctx context.Context, limit time.Duration, attempt func() error) error {
	err := vaultserver.Poll(limit, func() error {
		if ctx.Err() != nil {
			return nil
		}
		return attempt()
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// lease is what a worker was issued.
type lease struct {
	id, role, session, token string
	began                    time.Time // when it was asked for
	until                    time.Time // it has not ended before, unless somebody ended it
	sessionEnds              time.Time // at the latest, as the answer said
	renewable                bool
	assumed                  bool // Workfront did not state when its session, of which this is the first lease, ends
}

// pick returns one of the worker's leases, or nil. Those that have ended by themselves some time ago are forgotten.
func (w *worker) pick(s step) *lease {
	now, kept := time.Now(), w.leases[:0]
	for _, l := range w.leases {
		if now.Before(l.until.Add(10 * time.Second)) {
			kept = append(kept, l)
		} else {
			w.forget(l)
		}
	}
	w.leases = kept
	if len(kept) == 0 {
		return nil
	}
	return kept[int(s.which*float64(len(kept)))]
}

func (w *worker) drop(l *lease) {
	for i, other := range w.leases {
		if other == l {
			w.leases = append(w.leases[:i], w.leases[i+1:]...)
			return
		}
	}
}

// understand reads the answer to a token read. It returns nil, and keeps a failure, if that is not what it should be.
func (k *soak) understand(secret *api.Secret, role string, began time.Time) *lease {
	if secret == nil || secret.LeaseID == "" {
		k.tally.fail("read %s: the answer holds no lease", shown(role))
		return nil
	}
	text := func(field string) string {
		value, _ := secret.Data[field].(string)
		return value
	}
	l := &lease{id: secret.LeaseID, role: role, session: text("session_id"), token: text("access_token"), began: began, renewable: secret.Renewable}
	k.secrets.add("an access token", l.token)
	end, err := time.Parse(time.RFC3339, text("expires_at"))
	if err != nil || l.session == "" || l.token == "" {
		k.tally.fail("read %s: the answer lacks something: expires_at %q, session_id %q", shown(role), text("expires_at"), l.session)
		return nil
	}
	l.sessionEnds = end.Add(time.Second) // expires_at is rounded down
	l.assumed = kindOf(role) != "shared" && k.past.happened(unstated, began, time.Now()) && end.Sub(began) <= assumedTTL+time.Second
	k.extend(l, "read", secret.LeaseDuration, began)
	k.noteShared(l)
	return l
}

// extend notes the end of a lease, which must not be later than that of its session.
func (k *soak) extend(l *lease, operation string, seconds int, began time.Time) {
	l.until = began.Add(time.Duration(seconds) * time.Second)
	if seconds <= 0 || l.until.After(l.sessionEnds) {
		k.tally.fail("%s %s: a lease of %ds, when the session had %s left", operation, shown(l.role), seconds, l.sessionEnds.Sub(began).Round(time.Millisecond))
	}
}

// excused tells whether somebody has ended a lease or its session.
func (k *soak) excused(l *lease) bool {
	now := time.Now()
	return now.After(l.until) || k.past.happened(sweep(l.role), l.began, now) || k.past.happened(ended(l.session), l.began, now)
}

// mustLive keeps a failure if the session of a live lease is dead without cause.
func (k *soak) mustLive(l *lease, operation string) bool {
	if k.workfront.SessionAlive(l.token) || k.excused(l) {
		return true
	}
	k.tally.fail("%s: session %s is dead, %s after it was asked for, and its lease %s should live for %s", operation, l.session,
		time.Since(l.began).Round(time.Millisecond), l.id, time.Until(l.until).Round(time.Millisecond))
	return false
}

func shown(role string) string {
	if role == "" {
		return "token"
	}
	return "token/" + role
}
