//go:build e2e

package test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// massLeases is how many fresh leases are revoked at once in these tests.
func massLeases() int {
	if os.Getenv(envLong) != "" {
		return 10_000
	}
	return 1000
}

// massLimit is how long that may take, on a machine that has much else to do. If each lease cost a failed logout, even where
// connections are refused at once, it would take five minutes for a thousand.
func massLimit() time.Duration { return time.Minute + time.Duration(massLeases())*10*time.Millisecond }

// outages are the ways in which Workfront can be away for a mass of logouts.
var outages = map[string]func(w *workfront){
	"refused": func(w *workfront) { w.Suspend() },
	"hanging": func(w *workfront) {
		w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling})
	},
	"503": func(w *workfront) { w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 503}) },
}

// end ends an outage.
func (w *workfront) endOutage(t *testing.T) {
	t.Helper()
	w.ClearFaults()
	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
}

// patientVault is a server of its own whose client waits for what takes long.
func patientVault(t *testing.T) *vaultServer {
	t.Helper()
	v := ownVault(t)
	v.root.SetClientTimeout(10 * time.Minute)
	return v
}

// mass reads many tokens, each with a session of its own.
func (m *mount) mass(t *testing.T) []*api.Secret {
	t.Helper()
	leases := make([]*api.Secret, massLeases())
	inParallel(t, len(leases), 8, func(i int) (err error) {
		leases[i], err = m.readToken("")
		return err
	})
	if t.Failed() {
		t.FailNow()
	}
	return leases
}

// timed does something that must not take longer than massLimit, and returns how long it took.
func timed(t *testing.T, what string, do func()) (took time.Duration) {
	t.Helper()
	began := time.Now()
	do()
	took = time.Since(began)
	measured("%s: %d leases, %s", what, massLeases(), took.Round(10*time.Millisecond))
	if took > massLimit() {
		t.Errorf("%s took %s, want less than %s", what, took, massLimit())
	}
	return took
}

// triedLogouts is how many logouts may come in an outage that lasted so long, however many leases are revoked in it. That Workfront is
// down is known for 15, 30, then 45 seconds: revocations try three times a minute at most. The periodic job runs once a minute
// and tries sixteen sessions at a time until the first has failed; further runs of it do the same. A try has three attempts.
func triedLogouts(lasted time.Duration, furtherRuns int) int {
	minutes := int(lasted/time.Minute) + 1
	return 3 * (minutes*(3+16) + furtherRuns*16)
}

// wantFewLogouts checks that a mass of leases that took so long to end in an outage did not cost a logout each. Unlike the time
// that it took, this does not depend on the machine.
func wantFewLogouts(t *testing.T, w *workfront, took time.Duration, furtherRuns int) {
	t.Helper()
	got, most := w.Stats().Logouts, triedLogouts(took, furtherRuns)
	measured("%s: %d logouts were tried for %d leases", t.Name(), got, massLeases())
	if got > most {
		t.Errorf("%d logouts came for %d leases in %s, want %d at most", got, massLeases(), took, most)
	}
}

// logLines returns the lines of the server's log that hold all of the texts.
func (v *vaultServer) logLines(t *testing.T, texts ...string) []string {
	t.Helper()
	file, err := os.Open(v.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var found []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		holds := true
		for _, text := range texts {
			holds = holds && strings.Contains(lines.Text(), text)
		}
		if holds {
			found = append(found, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// wantNoLeases checks that nothing is left of the leases of a mount, and that none of the server's cannot be revoked.
func (m *mount) wantNoLeases(t *testing.T) {
	t.Helper()
	if n := m.leases(t, m.path); n > 0 {
		t.Errorf("Vault knows %d leases, want none", n)
	}
	counted, err := m.root.Logical().ReadWithData("sys/leases/count", map[string][]string{"type": {"irrevocable"}})
	if err != nil {
		t.Fatalf("count irrevocable leases: %v", err)
	}
	if n := number(t, counted.Data["lease_count"]); n > 0 {
		t.Errorf("%d leases are irrevocable, want none", n)
	}
}

// wantAllPending checks that the mount knows that many sessions, and that each of them is to be logged out.
func (m *mount) wantAllPending(t *testing.T, want int) {
	t.Helper()
	all := m.sessions(t)
	if len(all) != want {
		t.Errorf("%d sessions are listed, want %d", len(all), want)
	}
	for id, session := range all {
		if session == nil { // the list is too long to tell of each
			session = m.read(t, "sessions/"+id)
		}
		if session["state"] != "logout_pending" || number(t, session["leases"]) != 0 {
			t.Fatalf("a session that could not be logged out is %v", session)
		}
	}
}

// TestMassRevocationInOutage: many leases are revoked in seconds while Workfront is away. The sessions and the log
// say what is still to be logged out, and after the outage it is, in the next run of the periodic job. All but the wait for
// that is done before the parallel tests start.
func TestMassRevocationInOutage(t *testing.T) {
	v := patientVault(t)
	var ws []*workfront
	for name, outage := range outages {
		w := startWorkfront(t, 0)
		ws = append(ws, w)
		m := issuing(t, v, w, nil)
		m.mass(t)
		outage(w)
		took := timed(t, "sys/leases/revoke-prefix, Workfront "+name, func() { m.revokeAll(t) })
		wantFewLogouts(t, w, took, 0)
		m.wantNoLeases(t)
		m.wantAllPending(t, massLeases())
		if err := w.accounts(massLeases()); err != nil {
			t.Error(err)
		}
		text, host := "session not logged out; logout pending, will retry", "base_url="+w.URL()
		eventually(t, 10*time.Second, func() error { // the log of a plugin takes a moment
			if got := len(v.logLines(t, text, host)); got != massLeases() {
				return fmt.Errorf("the log has %d lines of pending logouts, want %d", got, massLeases())
			}
			return nil
		})
		if got := len(v.logLines(t, text, host, "[WARN]")); got < 1 || got > 5 { // one a minute
			t.Errorf("the log has %d warnings of pending logouts, want one", got)
		}
	}
	for _, w := range ws {
		w.endOutage(t)
	}
	t.Parallel()
	began := time.Now()
	// The job comes once a minute, and leaves three quarters of max_connections to others: two logouts go on at a time.
	limit := 150*time.Second + time.Duration(massLeases())*50*time.Millisecond
	for _, w := range ws {
		eventually(t, limit, func() error { return w.accounts(0) })
		if s := w.Stats(); s.LoggedOut != massLeases() {
			t.Errorf("sessions: %+v; want all logged out", s)
		}
	}
	measured("%d pending logouts succeeded %s after the outage", len(ws)*massLeases(), time.Since(began).Round(time.Second))
}

// TestMassRevocation is what the times in an outage are compared with.
func TestMassRevocation(t *testing.T) {
	t.Parallel()
	v := patientVault(t)
	for what, do := range map[string]func(m *mount){
		"sys/leases/revoke-prefix": func(m *mount) { m.revokeAll(t) },
		"secrets disable":          func(m *mount) { m.disable(t) },
	} {
		w := startWorkfront(t, 0)
		m := issuing(t, v, w, nil)
		m.mass(t)
		timed(t, what, func() { do(m) })
		if s := w.Stats(); s.LoggedOut != massLeases() || s.Logouts != massLeases() {
			t.Errorf("sessions: %+v; want each logged out by one call", s)
		}
	}
	if lines := v.logLines(t, lastWords); len(lines) > 0 {
		t.Errorf("a mount that leaves nothing behind has last words: %s", lines)
	}
}
