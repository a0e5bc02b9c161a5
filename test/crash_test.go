//go:build e2e

package test

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
	"vault-plugin-secrets-workfront/test/vaultserver"
)

// killPoint is a moment at which the plugin process is killed.
type killPoint struct {
	name string
	at   workfronttest.EventKind
	// ignored says that Workfront drops a request whose client has gone; else it carries it out.
	ignored bool
	// undelivered and alive are the sessions that nobody but Workfront knows of then: those in flight at the kill.
	undelivered, alive int
}

var (
	exchangePoints = []killPoint{
		{name: "exchange received, and dropped", at: workfronttest.ExchangeReceived, ignored: true},
		{name: "exchange received, and carried out", at: workfronttest.ExchangeReceived, undelivered: 1},
		{name: "exchange answered", at: workfronttest.ExchangeAnswered, alive: 1},
	}
	logoutPoints = []killPoint{
		{name: "logout received, and dropped", at: workfronttest.LogoutReceived, ignored: true},
		{name: "logout received, and carried out", at: workfronttest.LogoutReceived},
		{name: "logout answered", at: workfronttest.LogoutAnswered},
	}
)

// crashing is a mount whose plugin is killed, and a Workfront whose clock can be moved.
type crashing struct {
	*mount
	w     *workfront
	point killPoint
	ahead atomic.Int64 // of the real clock, in ns
	// older are leases from before the kill, which has nothing to do with them.
	older []*api.Secret
	// dead counts the tokens that were issued after the kill and were no living session. There are none: storage says that a
	// session is being logged out before anything is sent.
	dead int
}

func newCrashing(t *testing.T, v *vaultServer, point killPoint, sessionTTL, ttl time.Duration) *crashing {
	t.Helper()
	c := &crashing{point: point}
	c.w = startWorkfrontAt(t, sessionTTL, func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) })
	c.w.undelivered = point.undelivered
	c.mount = withRoles(t, issuing(t, v, c.w, field("ttl", ttl.String())))
	c.older = []*api.Secret{c.roleToken(t, freshRole), c.roleToken(t, freshRole)}
	return c
}

// arm has the plugin killed at that moment, from now on, but not before ready returns nil. The stand-in goes on when it is dead.
// What is killed after an answer is stopped before it, so that it cannot have done anything with the answer.
func (c *crashing) arm(t *testing.T, ready func() error) (killed <-chan error) {
	t.Helper()
	pid := c.onePluginProcess(t)
	received, fault := workfronttest.ExchangeReceived, workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Times: 1}
	if slices.Contains([]workfronttest.EventKind{workfronttest.LogoutReceived, workfronttest.LogoutAnswered}, c.point.at) {
		received, fault.Endpoint = workfronttest.LogoutReceived, workfronttest.EndpointLogout
	}
	atOnce := c.point.at == received
	if atOnce { // the request hangs until the stand-in has noticed that its client has gone
		fault.Hang = workfronttest.HangBeforeAnswer
		if c.point.ignored {
			fault.Hang = workfronttest.HangBeforeHandling
		}
		c.w.Inject(fault)
	}
	done := make(chan error, 1)
	var first sync.Once
	c.w.OnEvent(func(e workfronttest.Event) {
		if e.Kind == received {
			first.Do(func() {
				err := vaultserver.Poll(20*time.Second, ready)
				if atOnce {
					done <- errors.Join(err, signalAndWait(pid, syscall.SIGKILL, ""))
					return
				}
				if err = errors.Join(err, signalAndWait(pid, syscall.SIGSTOP, "T")); err != nil {
					t.Error(err)
				}
			})
		}
		if e.Kind == c.point.at && !atOnce {
			c.w.OnEvent(nil)
			done <- signalAndWait(pid, syscall.SIGKILL, "")
		}
	})
	return done
}

// signalAndWait sends a signal to a process and waits until it is in the state that ps shows with that letter, or gone.
func signalAndWait(pid int, signal syscall.Signal, state string) error {
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("%s: %w", signal, err)
	}
	return vaultserver.Poll(20*time.Second, func() error {
		out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output() // fails if there is none
		now := strings.TrimSpace(string(out))
		if gone := now == "" || strings.HasPrefix(now, "Z"); state == "" && gone || state != "" && strings.HasPrefix(now, state) {
			return nil
		}
		return fmt.Errorf("process %d is in state %q after %s", pid, now, signal)
	})
}

// wantCutOff checks what a request gets whose plugin was killed: an error, unless Vault noticed the death before the end of the
// connection, and so has started the plugin anew and repeated the request by itself.
func wantCutOff(t *testing.T, err error, status int) {
	t.Helper()
	if err != nil {
		wantError(t, err, status, "Unavailable")
	}
}

// wantKilled waits until the plugin was killed and Vault has started it anew, by which a read works.
func (c *crashing) wantKilled(t *testing.T, killed <-chan error, role string) (next *api.Secret) {
	t.Helper()
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	select {
	case err := <-killed:
		if err != nil {
			t.Fatal(err)
		}
	case <-patience.C:
		t.Fatal("the plugin was not killed")
	}
	eventually(t, 30*time.Second, func() (err error) {
		if next, err = c.readRole(role); err != nil {
			return err
		}
		if !c.w.SessionAlive(accessToken(next)) {
			c.dead++
			return errors.Join(errors.New("the token is no living session"), c.tryRevoke(next))
		}
		return nil
	})
	return next
}

// finish uses the older leases, ends all, and compares the accounts.
func (c *crashing) finish(t *testing.T, leases ...*api.Secret) {
	t.Helper()
	for _, lease := range c.older {
		if !c.w.SessionAlive(accessToken(lease)) {
			t.Error("a session from before the kill has ended")
		}
		if _, err := c.root.Sys().Renew(lease.LeaseID, 60); err != nil {
			t.Errorf("renew a lease from before the kill: %v", err)
		}
	}
	leases = append(leases, c.older...)
	for _, lease := range leases {
		c.revoke(t, lease)
	}
	for _, lease := range leases {
		wantDead(t, c.w, lease)
	}
	c.delete(t, "roles/"+sharedRole)
	if n := c.leases(t, c.path+"/token"); n != 0 {
		t.Errorf("Vault knows %d leases, want none", n)
	}
	eventually(t, 20*time.Second, func() error { return c.w.accounts(c.point.alive) })
	before := c.w.Stats()
	c.ahead.Store(int64(time.Hour))
	if err := c.w.accounts(0); err != nil {
		t.Error(err)
	}
	s := c.w.Stats()
	if s.Expired-before.Expired != c.point.alive {
		t.Errorf("sessions: %+v; want %d more of them expired", s, c.point.alive)
	}
	measured("%s: %d sessions started, %d logged out, %d expired, %d undelivered; %d tokens issued dead",
		t.Name(), s.Started, s.LoggedOut, s.Expired, s.Undelivered, c.dead)
}

// inFlight counts the requests for a path that Vault works on.
func (m *mount) inFlight(path string) (n int, err error) {
	secret, err := m.root.Logical().Read("sys/in-flight-req")
	if err != nil || secret == nil {
		return 0, fmt.Errorf("read the requests in flight: %w", err)
	}
	for _, request := range secret.Data {
		if r, _ := request.(map[string]any); r["request_path"] == "/v1/"+path {
			n++
		}
	}
	return n, nil
}

// TestKilledDuringExchange: the readers get an error, or what Vault's own repetition brings, and the session that Workfront
// started for them, if it did, ends by itself.
func TestKilledDuringExchange(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	for _, shape := range []struct {
		name, role string
		readers    int
	}{
		{"fresh", freshRole, 1},
		{"shared", sharedRole, 1},
		{"shared, many readers", sharedRole, 5},
	} {
		for _, point := range exchangePoints {
			t.Run(shape.name+", "+point.name, func(t *testing.T) {
				c := newCrashing(t, v, point, 0, 5*time.Minute)
				killed := c.arm(t, func() error {
					n, err := c.inFlight(c.tokenPath(shape.role))
					if err == nil && n < shape.readers {
						err = fmt.Errorf("%d readers wait, want %d", n, shape.readers)
					}
					return err
				})
				var mu sync.Mutex
				var leases []*api.Secret
				inParallel(t, shape.readers, shape.readers, func(int) error {
					lease, err := c.readRole(shape.role)
					if err == nil {
						mu.Lock()
						defer mu.Unlock()
						leases = append(leases, lease)
					}
					wantCutOff(t, err, http.StatusInternalServerError)
					return nil
				})
				c.finish(t, append(leases, c.wantKilled(t, killed, shape.role))...)
				if c.dead > 0 {
					t.Errorf("%d tokens were issued that were no living session, want none", c.dead)
				}
			})
		}
	}
}

// TestKilledDuringLogout: the revocation fails, and succeeds when it is repeated, be it by Vault itself. No session is lost.
func TestKilledDuringLogout(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	type killing struct {
		*crashing
		name, role string
		lease      *api.Secret
	}
	var all []killing
	for _, shape := range []struct {
		name, role string
		leases     int
	}{
		{"fresh", freshRole, 1},
		{"shared", sharedRole, 1},
		{"shared, many leases", sharedRole, 5},
	} {
		for _, point := range logoutPoints {
			c := newCrashing(t, v, point, 0, 5*time.Minute)
			leases := make([]*api.Secret, shape.leases)
			for i := range leases {
				leases[i] = c.roleToken(t, shape.role)
			}
			for _, lease := range leases[1:] {
				c.revoke(t, lease)
			}
			all = append(all, killing{c, shape.name + ", " + point.name, shape.role, leases[0]})
		}
	}
	outgrowYouth(t, time.Now()) // by then Workfront is believed when it says that a session is gone
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			killed := c.arm(t, func() error { return nil })
			wantCutOff(t, c.tryRevoke(c.lease), http.StatusBadRequest)
			next := c.wantKilled(t, killed, c.role)
			if c.dead > 0 {
				t.Errorf("%d tokens were issued that were no living session, want none", c.dead)
			}
			c.finish(t, next, c.lease)
		})
	}
}

// TestKilledRevocationIsRetried: Vault repeats by itself what was cut off.
func TestKilledRevocationIsRetried(t *testing.T) {
	t.Parallel()
	v := ownVault(t)
	var all []*crashing
	var leases []*api.Secret
	for _, point := range logoutPoints {
		c := newCrashing(t, v, point, 0, 5*time.Minute)
		lease := c.token(t, "")
		killed := c.arm(t, func() error { return nil })
		if err := c.root.Sys().RevokeWithOptions(&api.RevokeOptions{LeaseID: lease.LeaseID}); err != nil { // answered at once
			t.Fatal(err)
		}
		c.revoke(t, c.wantKilled(t, killed, freshRole))
		all, leases = append(all, c), append(leases, lease)
	}
	began := time.Now()
	for i, c := range all {
		eventually(t, 90*time.Second, func() error {
			if _, err := c.root.Sys().Lookup(leases[i].LeaseID); err == nil {
				return errors.New("the lease is still there")
			}
			return nil
		})
		c.finish(t)
	}
	measured("%s: Vault repeated %d revocations within %s of the last kill", t.Name(), len(all), time.Since(began).Round(time.Second))
}

// TestKilledInTheBackground: the plugin is killed while it replaces the session of a warm role, which no reader waits for, and
// while it logs out a replacement that nobody has leased, because its role is deleted. A replacement is fetched in the last
// quarter of a session's life, and that is real time for the plugin. So all sessions are made first, and there is one wait for the
// last of them. What comes then has 34 s, less what the making of the sessions took, until the first of them ends: the
// replacements that will be logged out grow old, and the exchanges are killed in the meantime.
func TestKilledInTheBackground(t *testing.T) {
	t.Parallel()
	const life = 140 * time.Second
	v := ownVault(t)
	var all []*crashing
	var firsts []*api.Secret
	for _, point := range slices.Concat(exchangePoints, logoutPoints) {
		c := newCrashing(t, v, point, life, life-4*time.Second) // so that they are renewable
		all, firsts = append(all, c), append(firsts, c.roleToken(t, sharedRole))
	}
	dueAt := sessionEnd(t, firsts[len(firsts)-1]).Add(time.Second - life/4)
	eventually(t, life, func() error {
		if early := time.Until(dueAt); early > 0 {
			return fmt.Errorf("the replacement is due in %s", early)
		}
		return nil
	})
	for i, c := range all {
		if slices.Contains(exchangePoints, c.point) {
			continue
		}
		before := c.w.Stats().Started
		second := c.roleToken(t, sharedRole)
		eventually(t, 10*time.Second, func() error {
			if n := len(c.sessions(t)); c.w.Stats().Started == before || n != len(c.older)+2 {
				return fmt.Errorf("there are %d sessions, want a replacement", n)
			}
			return nil
		})
		c.revoke(t, firsts[i])
		c.revoke(t, second)
	}
	replaced := time.Now()
	for i, c := range all {
		t.Run(c.point.name, func(t *testing.T) {
			if slices.Contains(exchangePoints, c.point) {
				killed := c.arm(t, func() error { return nil })
				leases := []*api.Secret{firsts[i]}
				if lease, err := c.readRole(sharedRole); err == nil { // or it was answered too late
					leases = append(leases, lease)
				}
				c.finish(t, append(leases, c.wantKilled(t, killed, sharedRole))...)
				return
			}
			outgrowYouth(t, replaced)
			killed := c.arm(t, func() error { return nil })
			_, err := c.client.Logical().Delete(c.path + "/roles/" + sharedRole)
			wantCutOff(t, err, http.StatusInternalServerError)
			c.finish(t, c.wantKilled(t, killed, freshRole))
		})
	}
}
