//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestDeadSessionWithManyLeases: a shared session with thousands of leases is logged out outside Vault. Readers of
// the role do not wait until that is found out and stored. Readers of another shared role show what the machine
// itself needs meanwhile.
func TestDeadSessionWithManyLeases(t *testing.T) {
	t.Parallel()
	onRaft := 1000 // each of them is written to disk three times
	if os.Getenv(envLong) != "" {
		onRaft = 3000
	}
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		testDeadSessionWithManyLeases(t, patientVault(t), 3000)
	})
	t.Run("on Raft", func(t *testing.T) {
		t.Parallel()
		testDeadSessionWithManyLeases(t, raftVault(t), onRaft)
	})
}

func testDeadSessionWithManyLeases(t *testing.T, v *vaultServer, held int) {
	t.Helper()
	const (
		longest = 300 * time.Millisecond
		quiet   = "quiet"
	)
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, v, w, nil))
	m.write(t, "roles/"+quiet, field("share_session", true))
	dead := m.roleToken(t, sharedRole)
	inParallel(t, held-1, 16, func(int) error {
		_, err := m.readRole(sharedRole)
		return err
	})
	if t.Failed() {
		t.FailNow()
	}
	m.reloadPlugin(t) // has the session checked at the next read of it
	m.roleToken(t, quiet)
	w.EndSession(accessToken(dead))

	var replaced atomic.Bool
	reading := m.startReaders(2, 10*time.Millisecond, sharedRole, func(_ int, lease *api.Secret) error {
		if accessToken(lease) != accessToken(dead) {
			replaced.Store(true)
		}
		return nil
	})
	baseline := m.startReaders(2, 10*time.Millisecond, quiet, func(int, *api.Secret) error { return nil })
	eventually(t, 5*time.Minute, func() error { // on a busy machine
		if session := m.read(t, "sessions/"+sessionID(dead)); session["state"] != "gone" {
			return fmt.Errorf("the dead session is %v, want gone", session["state"])
		}
		return nil
	})
	took, floor := reading.finish(t), baseline.finish(t)
	slowest, slowestElsewhere := took[len(took)-1], floor[len(floor)-1]
	measured("%s: %d leases on a dead session: the slowest of %d reads meanwhile took %s, of %d reads of another role %s",
		t.Name(), held, len(took), slowest.Round(time.Millisecond), len(floor), slowestElsewhere.Round(time.Millisecond))
	if slowest > longest+slowestElsewhere {
		t.Errorf("a read took %s, want %s at most, besides the %s of a read of another role", slowest, longest, slowestElsewhere)
	}
	if next := m.roleToken(t, sharedRole); !replaced.Load() || !w.SessionAlive(accessToken(next)) {
		t.Error("the session was not replaced")
	}
	m.revokeAll(t)
	m.delete(t, "roles/"+quiet)
	m.wantAllGone(t, w)
}

// TestMoreReadersThanCalls: for half a minute, far more readers than Workfront can serve. Each read brings a living session, or a 503 that says
// why. No session is unknown to the mount, whatever became of its reader.
func TestMoreReadersThanCalls(t *testing.T) {
	t.Parallel()
	const (
		readers = 300
		lasting = 30 * time.Second
	)
	w := startWorkfront(t, 0)
	behave(w, func(b *behaviour) { b.ExchangeDelay = time.Second })
	m := withRoles(t, issuing(t, sharedVault(t), w, field("request_timeout", "8s"))) // the last is sent when 2 s are left
	var mu sync.Mutex
	var leases []*api.Secret
	var refused int
	read := func() error {
		lease, err := m.readRole(freshRole)
		var answer *api.ResponseError
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			leases = append(leases, lease)
			return nil
		case errors.As(err, &answer) && answer.StatusCode == http.StatusServiceUnavailable:
			refused++
			if refused == 1 {
				wantError(t, err, http.StatusServiceUnavailable, "max_connections is 8", "share the session")
			}
			return nil
		}
		return err
	}
	until := time.Now().Add(lasting)
	inParallel(t, readers, readers, func(int) error {
		for time.Now().Before(until) {
			if err := read(); err != nil {
				return err
			}
		}
		return nil
	})
	for _, lease := range leases {
		if !w.SessionAlive(accessToken(lease)) {
			t.Error("the token is no living session")
		}
	}
	s := w.Stats()
	measured("%s: %d readers for %s, with exchanges of 1 s: %d reads were served and %d got a 503; %d sessions started, %d logged out",
		t.Name(), readers, lasting, len(leases), refused, s.Started, s.LoggedOut)
	if len(leases) == 0 || refused == 0 {
		t.Errorf("%d reads were served and %d got a 503, want some of each", len(leases), refused)
	}
	if s.TooManyCalls > 0 || s.PeakCalls > 8 {
		t.Errorf("%d calls were under way at a time, and %d too many, want 8 at most, and none", s.PeakCalls, s.TooManyCalls)
	}
	m.wantBalance(t, w)
	m.revokeAll(t)
	m.wantEmptyLedger(t)
}

// TestReadersLeaveQueue: all calls that may be under way are, and clients leave before it is their turn. For those no exchange
// is made, revocations do not wait behind them, and neither does the read of somebody else.
func TestReadersLeaveQueue(t *testing.T) {
	t.Parallel()
	const (
		reads   = 1500
		clients = 100
		slots   = 6 // for exchanges: two of the eight are for logouts
	)
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, ownVault(t), w, field("request_timeout", "60s")))
	var others []*api.Secret
	for range 5 {
		others = append(others, m.roleToken(t, freshRole))
	}
	before := w.Stats().Exchanges
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	var reading sync.WaitGroup
	patient := make(chan *api.Secret, slots+1)
	read := func() {
		reading.Go(func() {
			lease, err := m.readRole(freshRole)
			if err != nil || !w.SessionAlive(accessToken(lease)) {
				t.Errorf("who does not leave got %v, want a living session", err)
			}
			patient <- lease
		})
	}
	for range slots {
		read()
	}
	inFlight := func(enough func(n int) bool) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			n, err := m.inFlight(m.tokenPath(freshRole))
			if got := w.Stats().Exchanges - before; err == nil && (!enough(n) || got != slots) {
				err = fmt.Errorf("%d reads are in flight, and %d exchanges", n, got)
			}
			return err
		})
	}
	inFlight(func(n int) bool { return n == slots })

	var leaving sync.WaitGroup
	leaving.Go(func() {
		inParallel(t, reads, clients, func(i int) error {
			patience := 4 * time.Millisecond
			if i%3 == 0 {
				patience = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := m.client.Logical().ReadWithContext(ctx, m.tokenPath(freshRole)); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("got %w, want the reader to have left", err)
			}
			return nil
		})
	})
	inFlight(func(n int) bool { return n > 2*slots })
	read() // behind some of those who leave, and before the others
	var revoking []time.Duration
	for _, lease := range others {
		began := time.Now()
		m.revoke(t, lease)
		revoking = append(revoking, time.Since(began))
		wantDead(t, w, lease)
	}
	leaving.Wait()
	inFlight(func(n int) bool { return n == slots+1 })
	began := time.Now()
	remove()
	reading.Wait()
	inVain := w.Stats().Exchanges - before - slots - 1
	measured("%s: %d readers left the queue, and %d exchanges were made for them; %d readers were served %s after a call was possible, "+
		"the slowest of %d revocations took %s", t.Name(), reads, inVain, slots+1, time.Since(began).Round(time.Millisecond),
		len(revoking), slices.Max(revoking).Round(time.Millisecond))
	if inVain != 0 {
		t.Errorf("%d exchanges were made for nobody, want none", inVain)
	}
	close(patient)
	for lease := range patient {
		if lease != nil {
			m.revoke(t, lease)
		}
	}
	m.wantEmptyLedger(t)
}
