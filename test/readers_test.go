//go:build e2e

package test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// readers read tokens all the time, until they are finished.
type readers struct {
	stop    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	rounds   []int // by reader
	took     []time.Duration
	failures []error
}

// startReaders has n readers read tokens of a role, "" being the defaults, each with that pause in between. use gets what a
// read brought; what it returns counts as a failure of the read.
func (m *mount) startReaders(n int, pause time.Duration, role string, use func(reader int, lease *api.Secret) error) *readers {
	r := &readers{stop: make(chan struct{}), rounds: make([]int, n)}
	for reader := range n {
		r.running.Go(func() {
			again := time.NewTicker(pause)
			defer again.Stop()
			for {
				began := time.Now()
				lease, err := m.readRole(role)
				took := time.Since(began)
				switch {
				case err == nil && lease == nil: // a 404, without an error: the mount is gone
					err = errors.New("no token in the answer")
				case err == nil:
					err = use(reader, lease)
				}
				r.note(reader, took, err)
				select {
				case <-again.C:
				case <-r.stop:
					return
				}
			}
		})
	}
	return r
}

func (r *readers) note(reader int, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rounds[reader]++
	r.took = append(r.took, took)
	if err != nil {
		r.failures = append(r.failures, fmt.Errorf("reader %d at %s: %w", reader, time.Now().Format(time.TimeOnly), err))
	}
}

// wait waits until every reader has made some whole rounds that began after the call: none goes by older settings any more.
func (r *readers) wait(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	before := slices.Clone(r.rounds)
	r.mu.Unlock()
	eventually(t, 30*time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for reader, rounds := range r.rounds {
			if rounds < before[reader]+3 {
				return fmt.Errorf("reader %d has made %d rounds, want 3", reader, rounds-before[reader])
			}
		}
		return nil
	})
}

// finish stops the readers and reports what failed. It returns how long the reads took, sorted.
func (r *readers) finish(t *testing.T) []time.Duration {
	t.Helper()
	close(r.stop)
	r.running.Wait()
	for _, err := range r.failures[:min(len(r.failures), 10)] {
		t.Error(err)
	}
	if len(r.failures) > 0 || len(r.took) == 0 {
		t.Errorf("%d of %d reads failed, want some reads and no failure", len(r.failures), len(r.took))
	}
	slices.Sort(r.took)
	return r.took
}

// percentile returns the value that n of 100 do not exceed.
func percentile(sorted []time.Duration, n int) time.Duration { return sorted[(len(sorted)-1)*n/100] }

// useShared returns what readers of a shared role do: each holds the lease of its last read alone.
func (m *mount) useShared(w *workfront, n int) func(reader int, lease *api.Secret) error {
	held := make([]*api.Secret, n)
	return func(reader int, lease *api.Secret) error {
		if !w.SessionAlive(accessToken(lease)) {
			return errors.New("the token is no living session")
		}
		last := held[reader]
		held[reader] = lease
		if last == nil {
			return nil
		}
		return m.tryRevoke(last)
	}
}

// useFresh is what readers of a role do that is not shared: each token is used and given back.
func (m *mount) useFresh(w *workfront) func(reader int, lease *api.Secret) error {
	return func(_ int, lease *api.Secret) error {
		if !w.SessionAlive(accessToken(lease)) {
			return errors.New("the token is no living session")
		}
		return m.tryRevoke(lease)
	}
}

// wantBalance compares what the stand-in has counted with what the mount holds: every session that was started has ended,
// is leased, is to be logged out yet, is shared and not leased yet, or never got to its client. And the leases on the
// sessions are those that Vault knows.
func (m *mount) wantBalance(t *testing.T, w *workfront) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		var leased, pending, unleased, leases int
		for id, s := range m.sessions(t) {
			end, err := time.Parse(time.RFC3339, fmt.Sprint(s["expires_at"]))
			if err != nil {
				return fmt.Errorf("session %s: %w", id, err)
			}
			n := number(t, s["leases"])
			leases += n
			switch {
			case !time.Now().Before(end.Add(time.Second)): // it will be dropped
			case s["state"] == "logout_pending":
				pending++
			case n > 0:
				leased++
			default:
				unleased++
			}
		}
		s, known := w.Stats(), m.leases(t, m.path+"/token")
		if s.Started != s.LoggedOut+s.Expired+leased+pending+unleased+s.Undelivered || s.Undelivered != w.undelivered || leases != known {
			return fmt.Errorf("the stand-in counted %+v, the mount holds %d sessions leased, %d to be logged out, %d not leased yet, with %d leases; Vault knows %d leases",
				s, leased, pending, unleased, leases, known)
		}
		return nil
	})
}

// sessions lists the sessions of the mount with what it says of each.
func (m *mount) sessions(t *testing.T) map[string]map[string]any {
	t.Helper()
	listed, err := m.root.Logical().List(m.path + "/sessions")
	if err != nil {
		t.Fatalf("list sessions: %v", err)
	}
	all := map[string]map[string]any{}
	if listed == nil {
		return all
	}
	info, _ := listed.Data["key_info"].(map[string]any)
	for _, id := range listed.Data["keys"].([]any) {
		all[id.(string)], _ = info[id.(string)].(map[string]any)
	}
	return all
}

// leases counts the leases that Vault knows at a path and below it.
func (m *mount) leases(t *testing.T, path string) int {
	t.Helper()
	return len(m.leaseIDs(t, path))
}

// leaseIDs returns those leases.
func (m *mount) leaseIDs(t *testing.T, path string) (ids []string) {
	t.Helper()
	listed, err := m.root.Logical().List("sys/leases/lookup/" + path)
	if err != nil {
		t.Fatalf("list leases: %v", err)
	}
	if listed == nil {
		return nil
	}
	for _, key := range listed.Data["keys"].([]any) {
		if folder, ok := strings.CutSuffix(key.(string), "/"); ok {
			ids = append(ids, m.leaseIDs(t, path+"/"+folder)...)
		} else {
			ids = append(ids, path+"/"+key.(string))
		}
	}
	return ids
}

// number reads a number of an answer.
func number(t *testing.T, value any) int {
	t.Helper()
	n, ok := value.(interface{ Int64() (int64, error) })
	if !ok {
		t.Fatalf("%v is no number", value)
	}
	i, err := n.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return int(i)
}

// measurements are printed when all tests are over: what a test that passes logs is not shown.
var measurements struct {
	sync.Mutex
	lines []string
}

func measured(format string, args ...any) {
	measurements.Lock()
	defer measurements.Unlock()
	measurements.lines = append(measurements.lines, fmt.Sprintf(format, args...))
}

func printMeasurements() {
	measurements.Lock()
	defer measurements.Unlock()
	for _, line := range measurements.lines {
		fmt.Println("measured:", line)
	}
}
