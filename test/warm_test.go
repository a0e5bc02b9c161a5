//go:build e2e

package test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// issuedSession is what readers saw of one session.
type issuedSession struct {
	number int       // in the order of the exchanges
	ends   time.Time // the last end of a lease on it
}

// TestStoryWarmRole reads a shared role all the time, over several lifetimes of a session, from a Workfront that takes 2 s
// for an exchange. Once the role is warm, nobody waits for that. It reads over many lifetimes if envLong is set.
func TestStoryWarmRole(t *testing.T) {
	lifetimes := 3
	if os.Getenv(envLong) != "" {
		lifetimes = 20
	}
	const (
		life     = 22 * time.Second // of which 20 s are left when the exchange is answered
		exchange = 2 * time.Second
		workers  = 4
	)
	w := startWorkfront(t, life)
	behave(w, func(b *behaviour) { b.ExchangeDelay = exchange })
	var mu sync.Mutex
	var starts []time.Time // of the exchanges, none of which can have started its session earlier
	w.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
		}
	})
	m := issuing(t, ownVault(t), w, field("share_session", true))
	began := time.Now()
	cold := m.token(t, "")
	if took := time.Since(began); took < exchange {
		t.Errorf("the cold read took %s, want the exchange's %s", took, exchange)
	}

	sessions := map[string]*issuedSession{}
	held, rounds, idle := make([]*api.Secret, workers), make([]int, workers), make([]time.Time, workers)
	use := func(reader int, lease *api.Secret) error {
		received := time.Now()
		free := idle[reader] // the read began afterwards
		defer func() { idle[reader] = time.Now() }()
		token := accessToken(lease)
		if !w.SessionAlive(token) {
			return errors.New("the token is no living session")
		}
		end, err := time.Parse(time.RFC3339, fmt.Sprint(lease.Data["expires_at"])) // cut to the second
		if err != nil {
			return err
		}
		// Or earlier, by as long as the answer was on its way: Vault knows exactly.
		ends := received.Add(time.Duration(lease.LeaseDuration) * time.Second)
		if rounds[reader]++; rounds[reader]%8 == 0 || ends.After(end) {
			if ends, err = m.leaseEnd(lease.LeaseID); err != nil {
				return err
			}
		}
		if ends.After(end.Add(time.Second)) {
			return fmt.Errorf("the lease expires at %s, its session at %s", ends, end)
		}
		mu.Lock()
		s := sessions[token]
		if s == nil {
			s = &issuedSession{number: len(sessions)}
			sessions[token] = s
		}
		if ends.After(s.ends) {
			s.ends = ends
		}
		answered := starts[s.number].Add(exchange)
		mu.Unlock()
		// On a machine with much else to do a read can take as long without waiting for Workfront: then its session was there.
		if !free.IsZero() && answered.After(free) && received.Sub(free) >= exchange {
			return fmt.Errorf("the read took up to %s, and waited for the exchange of its session", received.Sub(free))
		}
		// Half of the readers give their leases back, the others let Vault end them.
		last := held[reader]
		held[reader] = lease
		if reader%2 == 0 || last == nil {
			return nil
		}
		return m.tryRevoke(last)
	}
	reading := m.startReaders(workers, 50*time.Millisecond, "", use)
	over := time.NewTimer(time.Until(began.Add(time.Duration(lifetimes) * life)))
	defer over.Stop()
	t.Parallel() // what follows is a wait
	<-over.C
	took := reading.finish(t)
	// More than was asked for, if this test's turn among the parallel ones was long in coming: the readers went on.
	lived := float64(time.Since(began)) / float64(life)

	longest := took[len(took)-1]
	measured("%d reads of a warm shared role over %.1f lifetimes of its sessions, with exchanges of %s: p50 %s, p99 %s, max %s; %d sessions",
		len(took), lived, exchange, percentile(took, 50), percentile(took, 99), longest, len(sessions))
	if n := float64(len(sessions)); n <= lived || n > 2*lived {
		t.Errorf("there were %d sessions in %.1f lifetimes, want a new one when a quarter of its life is left", len(sessions), lived)
	}
	mu.Lock()
	for _, s := range sessions {
		if end := starts[s.number].Add(life); s.ends.After(end) {
			t.Errorf("a lease on session %d ends at %s, the session at %s", s.number, s.ends, end)
		}
	}
	mu.Unlock()
	m.revoke(t, cold)
	m.revokeAll(t)
	m.wantBalance(t, w)
	if _, err := m.patch(field("share_session", false)); err != nil { // ends what nobody has leased yet
		t.Fatal(err)
	}
	m.wantBalance(t, w)
}
