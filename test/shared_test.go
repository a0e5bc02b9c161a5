//go:build e2e

package test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// sharedRole is the name of the role that shares its session in these tests, freshRole that of one that does not.
const (
	sharedRole = "shared"
	freshRole  = "fresh"
)

// withRoles makes both roles in a mount that is ready to issue, and ends what is shared when the test is over.
func withRoles(t *testing.T, m *mount) *mount {
	t.Helper()
	m.write(t, "roles/"+sharedRole, field("share_session", true))
	m.write(t, "roles/"+freshRole, nil)
	return m
}

// sessionID reads the field session_id.
func sessionID(lease *api.Secret) string {
	id, _ := lease.Data["session_id"].(string)
	return id
}

// inParallel calls do for 0 to n-1, by so many at a time, and reports what failed.
func inParallel(t *testing.T, n, workers int, do func(i int) error) {
	t.Helper()
	failures := make(chan error, n)
	todo := make(chan int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := range todo {
				if err := do(i); err != nil {
					failures <- err
				}
			}
		})
	}
	for i := range n {
		todo <- i
	}
	close(todo)
	running.Wait()
	close(failures)
	if len(failures) > 0 {
		t.Errorf("%d of %d calls failed, the first with: %v", len(failures), n, <-failures)
	}
}

// TestStoryColdSharedRole: a thousand jobs start at once, which costs Workfront one exchange.
func TestStoryColdSharedRole(t *testing.T) {
	t.Parallel()
	const n = 1000
	w := startWorkfront(t, 0)
	behave(w, func(b *behaviour) { b.ExchangeDelay = 2 * time.Second })
	m := withRoles(t, issuing(t, ownVault(t), w, nil))

	leases := make([]*api.Secret, n)
	began := time.Now()
	inParallel(t, n, n, func(i int) (err error) {
		leases[i], err = m.readRole(sharedRole)
		return err
	})
	measured("%d concurrent reads of a cold shared role took %s together, with an exchange of 2 s", n, time.Since(began).Round(time.Millisecond))
	if t.Failed() {
		t.FailNow()
	}
	ids := map[string]bool{}
	for _, lease := range leases {
		if accessToken(lease) != accessToken(leases[0]) || sessionID(lease) != sessionID(leases[0]) {
			t.Fatal("the readers got different sessions")
		}
		ids[lease.LeaseID] = true
	}
	if known := m.leases(t, m.tokenPath(sharedRole)); len(ids) != n || known != n {
		t.Errorf("the readers got %d leases, and Vault knows %d, want %d", len(ids), known, n)
	}
	if s := w.Stats(); s.Exchanges != 1 || s.Started != 1 {
		t.Errorf("sessions: %+v; want 1 exchange and 1 session", s)
	}
	if got := number(t, m.read(t, "sessions/"+sessionID(leases[0]))["leases"]); got != n {
		t.Errorf("the session has %d leases, want %d", got, n)
	}
	m.wantBalance(t, w)

	last := leases[n/2]
	others := slices.Delete(slices.Clone(leases), n/2, n/2+1)
	inParallel(t, n-1, 16, func(i int) error { return m.tryRevoke(others[i]) })
	if status, body := w.call(t, accessToken(last)); status != http.StatusOK {
		t.Errorf("with one lease left the session is answered with %d: %s", status, body)
	}
	if s := w.Stats(); s.Logouts != 0 {
		t.Errorf("sessions: %+v; want no logout yet", s)
	}
	m.wantBalance(t, w)
	m.revoke(t, last)
	wantDead(t, w, last)
	if s := w.Stats(); s.LoggedOut != 1 || s.Logouts != 1 {
		t.Errorf("sessions: %+v; want 1 logged out by 1 call", s)
	}
	for _, folder := range []string{"session", "lease", "expiry", pendingFolder} {
		if left := m.list(t, folder); len(left) > 0 {
			t.Errorf("storage holds %s of %q, want nothing", folder, left)
		}
	}
}

// TestStorySharedSurvivesRestart: the leases on a session are counted exactly across a crash of the plugin, and a seal.
func TestStorySharedSurvivesRestart(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	for _, c := range []struct {
		name    string
		restart func(t *testing.T, m *mount)
	}{
		{"kill -9", func(t *testing.T, m *mount) { m.killPlugin(t) }},
		{"seal and unseal", func(t *testing.T, m *mount) {
			if err := m.root.Sys().Seal(); err != nil {
				t.Fatal(err)
			}
			if err := m.Unseal(); err != nil {
				t.Fatal(err)
			}
		}},
		{"reload", func(t *testing.T, m *mount) { m.reloadPlugin(t) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, v, w, nil))
			var leases []*api.Secret
			for range 12 {
				leases = append(leases, m.roleToken(t, sharedRole))
			}
			m.revoke(t, leases[0]) // so that not only additions are counted
			leases = leases[1:]
			wantLeases := func() {
				t.Helper()
				if got := number(t, m.read(t, "sessions/"+sessionID(leases[0]))["leases"]); got != len(leases) {
					t.Errorf("the session has %d leases, want %d", got, len(leases))
				}
			}
			wantLeases()
			c.restart(t, m)
			// Until Vault has noticed, calls fail.
			eventually(t, 30*time.Second, func() error { return m.tryRevoke(leases[0]) })
			leases = leases[1:]
			wantLeases()
			for range 3 {
				lease := m.roleToken(t, sharedRole)
				if sessionID(lease) != sessionID(leases[0]) {
					t.Error("a reader got another session after the restart")
				}
				leases = append(leases, lease)
			}
			wantLeases()
			if n := w.Stats().Exchanges; n != 1 {
				t.Errorf("%d exchanges, want 1", n)
			}
			m.wantBalance(t, w)
			for _, lease := range leases[1:] {
				m.revoke(t, lease)
			}
			if !w.SessionAlive(accessToken(leases[0])) {
				t.Error("the session ended although a lease holds it")
			}
			m.revoke(t, leases[0])
			wantDead(t, w, leases[0])
		})
	}
}

// TestSharedKilledUnderReads kills the plugin while tokens are read. No lease that was issued is lost; of those that were
// being made, some may be left on the session, which nobody got.
func TestSharedKilledUnderReads(t *testing.T) {
	t.Parallel()
	const workers = 4
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, ownVault(t), w, nil))
	var mu sync.Mutex
	var leases []*api.Secret
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			again := time.NewTicker(5 * time.Millisecond)
			defer again.Stop()
			for {
				if lease, err := m.readRole(sharedRole); err == nil { // until Vault has noticed the kill, reads fail
					mu.Lock()
					leases = append(leases, lease)
					mu.Unlock()
				}
				select {
				case <-again.C:
				case <-stop:
					return
				}
			}
		})
	}
	more := func() {
		t.Helper()
		mu.Lock()
		before := len(leases)
		mu.Unlock()
		eventually(t, 30*time.Second, func() error {
			mu.Lock()
			defer mu.Unlock()
			if n := len(leases) - before; n < 100 {
				return fmt.Errorf("%d tokens were read, want 100", n)
			}
			return nil
		})
	}
	more()
	m.killPlugin(t)
	more()
	close(stop)
	running.Wait()
	if n := w.Stats().Exchanges; n != 1 {
		t.Errorf("%d exchanges, want 1", n)
	}
	id, last := sessionID(leases[0]), leases[0]
	if known := m.leases(t, m.tokenPath(sharedRole)); known != len(leases) {
		t.Errorf("Vault knows %d leases, the readers %d", known, len(leases))
	}
	lost := number(t, m.read(t, "sessions/"+id)["leases"]) - len(leases)
	if lost < 0 || lost > workers {
		t.Errorf("the session has %d leases more than the readers, want one for each read that was cut off at most", lost)
	}
	inParallel(t, len(leases)-1, 8, func(i int) error { return m.tryRevoke(leases[i+1]) })
	if !w.SessionAlive(accessToken(last)) {
		t.Error("the session ended although a lease holds it")
	}
	m.revoke(t, last)
	if lost > 0 {
		m.delete(t, "sessions/"+id)
	}
	wantDead(t, w, last)
}

// TestEndedElsewhereIsReplaced: somebody logs the shared session out. A call in the background finds that within a minute.
func TestEndedElsewhereIsReplaced(t *testing.T) {
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	first := m.roleToken(t, sharedRole)
	w.EndSession(accessToken(first))
	ended := time.Now()
	replaced := make(chan time.Duration, 1)
	var once sync.Once
	reading := m.startReaders(2, 500*time.Millisecond, sharedRole, func(_ int, lease *api.Secret) error {
		if accessToken(lease) == accessToken(first) {
			return nil
		}
		once.Do(func() { replaced <- time.Since(ended) })
		if !w.SessionAlive(accessToken(lease)) {
			return errors.New("the replacement is no living session")
		}
		return nil
	})
	t.Parallel() // what follows is a wait
	limit := time.NewTimer(80 * time.Second)
	defer limit.Stop()
	select {
	case took := <-replaced:
		if took > 65*time.Second {
			t.Errorf("the session was replaced after %s, want a minute at most", took)
		}
	case <-limit.C:
		t.Error("the session was not replaced")
	}
	reading.finish(t)
	// The check and a reader may each fetch a replacement.
	if n := w.Stats().Exchanges; n > 3 {
		t.Errorf("%d exchanges, want 2 or 3", n)
	}
	m.revokeAll(t)
	m.wantAllGone(t, w)
}

// TestEndedElsewhereBeforeStart: a plugin that was just started does not wait a minute.
func TestEndedElsewhereBeforeStart(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, ownVault(t), w, nil))
	first := m.roleToken(t, sharedRole)
	w.EndSession(accessToken(first))
	m.reloadPlugin(t)
	eventually(t, 20*time.Second, func() error {
		if lease := m.roleToken(t, sharedRole); !w.SessionAlive(accessToken(lease)) {
			return errors.New("the session that somebody ended is still issued")
		}
		return nil
	})
	// The check and a reader may each fetch a replacement.
	if n := w.Stats().Exchanges; n > 3 {
		t.Errorf("%d exchanges, want 2 or 3", n)
	}
	m.revoke(t, first)
	m.revokeAll(t)
	m.wantAllGone(t, w)
}

// TestStoryOutage: while Workfront is down, the shared session is issued, also when it is time to replace it.
func TestStoryOutage(t *testing.T) {
	t.Parallel()
	const life = 24 * time.Second
	w := startWorkfront(t, life)
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	first := m.roleToken(t, sharedRole)
	began := time.Now()
	w.Suspend()
	reading := m.startReaders(2, 200*time.Millisecond, sharedRole, func(_ int, lease *api.Secret) error {
		if !w.SessionAlive(accessToken(lease)) {
			return errors.New("the token is no living session")
		}
		return nil
	})
	_, err := m.readRole(freshRole)
	wantError(t, err, http.StatusBadGateway, "not available")
	// A quarter of the life is left after 18 s. The outage goes on for a while then, in which replacements fail.
	fading := time.NewTimer(time.Until(began.Add(life*3/4 + 2*time.Second)))
	defer fading.Stop()
	<-fading.C
	if lease := m.roleToken(t, sharedRole); sessionID(lease) != sessionID(first) {
		t.Error("a reader got another session while Workfront was down")
	}
	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
	m.revoke(t, m.roleToken(t, freshRole))
	eventually(t, 20*time.Second, func() error {
		if lease := m.roleToken(t, sharedRole); sessionID(lease) == sessionID(first) {
			return errors.New("the session was not replaced")
		}
		return nil
	})
	reading.finish(t)
	m.wantAllGone(t, w)
}

// TestSharedComesAndGoes: nobody keeps a lease, so that the session ends all the time, and the next reader finds the role cold.
// No reader gets a session that another one's revocation ends.
func TestSharedComesAndGoes(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	reading := m.startReaders(6, time.Millisecond, sharedRole, m.useFresh(w))
	eventually(t, 60*time.Second, func() error {
		if n := w.Stats().LoggedOut; n < 50 {
			return fmt.Errorf("%d sessions have ended, want 50", n)
		}
		return nil
	})
	reading.finish(t)
	m.wantBalance(t, w)
}
