//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// builtIn is the path of an engine of Vault's own, to be compared with.
const builtIn = "built-in"

// services are what the clients of a cluster want of it all the time: tokens of a role with sessions of its own, of one that
// shares its session, and something that has nothing to do with the plugin.
var services = []string{freshRole, sharedRole, builtIn}

const (
	clientPause   = 100 * time.Millisecond
	clientTimeout = 2 * time.Second // of one call: a node may be silent
)

// traffic is what goes on in a cluster while something happens to it: for each service, a client of each node. A client whose
// node fails it goes on with the next one.
type traffic struct {
	cluster *cluster
	mount   *mount
	w       *workfront
	stop    chan struct{}
	running sync.WaitGroup
	clients []*trafficClient
	reading atomic.Int64 // reads of sessions of their own, at this moment

	mu    sync.Mutex
	calls int
	owed  []owedLease // what could not be renewed or revoked at the time
	other []error     // what should not be, whatever happened to the cluster
}

type trafficClient struct {
	service string

	mu       sync.Mutex
	answers  []time.Time
	began    time.Time // when the last call began that was answered
	failures int
}

// owedLease is a lease that was issued and not released.
type owedLease struct {
	*api.Secret
	revoking bool // a revocation was begun, and may have been carried out
}

func (c *cluster) startTraffic(t *testing.T, m *mount, w *workfront) *traffic {
	t.Helper()
	tr := &traffic{cluster: c, mount: m, w: w, stop: make(chan struct{})}
	for _, service := range services {
		for i := range c.nodes {
			client := &trafficClient{service: service}
			tr.clients = append(tr.clients, client)
			tr.running.Go(func() { tr.run(client, i) })
		}
	}
	return tr
}

func (tr *traffic) run(client *trafficClient, node int) {
	again := time.NewTicker(clientPause)
	defer again.Stop()
	for {
		if !tr.call(client, tr.cluster.nodes[node%clusterSize]) {
			node++
		}
		select {
		case <-again.C:
		case <-tr.stop:
			return
		}
	}
}

// call reads once, and gives back what it got. It tells whether the node did its part.
func (tr *traffic) call(client *trafficClient, node *vaultServer) bool {
	began := time.Now()
	lease, err := tr.read(client.service, node)
	client.mu.Lock()
	if err == nil {
		client.answers = append(client.answers, time.Now())
		client.began = began
	} else {
		client.failures++
	}
	client.mu.Unlock()
	tr.mu.Lock()
	tr.calls++
	tr.mu.Unlock()
	if err != nil || client.service == builtIn {
		return err == nil
	}
	if !tr.w.SessionAlive(accessToken(lease)) {
		tr.blame(errors.New("a token was issued that is no living session"))
	}
	return tr.giveBack(lease, node)
}

func (tr *traffic) read(service string, node *vaultServer) (*api.Secret, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	path := builtIn + "/entry"
	if service != builtIn {
		path = tr.mount.tokenPath(service)
	}
	if service == freshRole {
		tr.reading.Add(1)
		defer tr.reading.Add(-1)
	}
	secret, err := node.root.Logical().ReadWithContext(ctx, path)
	if err == nil && secret == nil {
		err = errors.New("nothing there")
	}
	return secret, err
}

// giveBack renews and revokes a lease. What fails is owed.
func (tr *traffic) giveBack(lease *api.Secret, node *vaultServer) bool {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	owed := owedLease{Secret: lease}
	_, err := node.root.Sys().RenewWithContext(ctx, lease.LeaseID, 0)
	if err == nil {
		owed.revoking = true
		err = node.root.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{LeaseID: lease.LeaseID, Sync: true})
	}
	if err != nil {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.owed = append(tr.owed, owed)
	}
	return err == nil
}

func (tr *traffic) blame(err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.other = append(tr.other, err)
}

// burst has so many clients of a node read sessions of their own, and returns when as many exchanges have begun since. Some of
// those may be the other clients': Workfront cannot tell, and each is a read that is cut off just as well.
func (tr *traffic) burst(t *testing.T, n int, node *vaultServer) {
	t.Helper()
	before := tr.w.Stats().Exchanges
	for range n {
		tr.running.Go(func() {
			if lease, err := tr.read(freshRole, node); err == nil {
				tr.mu.Lock()
				defer tr.mu.Unlock()
				tr.owed = append(tr.owed, owedLease{Secret: lease})
			}
		})
	}
	eventually(t, 10*time.Second, func() error {
		if got := tr.w.Stats().Exchanges - before; got < n {
			return fmt.Errorf("%d exchanges began, want %d", got, n)
		}
		return nil
	})
}

// served waits until each client was given something that it asked for after that time.
func (tr *traffic) served(t *testing.T, since time.Time) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		for i, client := range tr.clients {
			client.mu.Lock()
			began := client.began
			client.mu.Unlock()
			if !began.After(since) {
				return fmt.Errorf("client %d of %s is not served", i%clusterSize, client.service)
			}
		}
		return nil
	})
}

// finish stops the traffic. All that is owed can be renewed and revoked by now, at any node.
func (tr *traffic) finish(t *testing.T) {
	t.Helper()
	close(tr.stop)
	tr.running.Wait()
	for i, lease := range tr.owed {
		m := tr.cluster.at(tr.cluster.nodes[i%clusterSize], tr.mount)
		if !lease.revoking {
			if _, err := m.root.Sys().Renew(lease.LeaseID, 0); err != nil {
				t.Errorf("renew a lease of before: %v", err)
			}
		}
		if err := m.tryRevoke(lease.Secret); err != nil {
			t.Errorf("revoke a lease of before: %v", err)
		}
	}
	for _, err := range tr.other {
		t.Error(err)
	}
}

// gap is the longest time in which no client of a service got an answer.
func (tr *traffic) gap(service string) (longest time.Duration) {
	var answers []time.Time
	for _, client := range tr.clients {
		if client.service == service {
			client.mu.Lock()
			answers = append(answers, client.answers...)
			client.mu.Unlock()
		}
	}
	slices.SortFunc(answers, time.Time.Compare)
	for i := 1; i < len(answers); i++ {
		longest = max(longest, answers[i].Sub(answers[i-1]))
	}
	return longest
}

// failures counts the calls that failed.
func (tr *traffic) failures() (n int) {
	for _, client := range tr.clients {
		client.mu.Lock()
		n += client.failures
		client.mu.Unlock()
	}
	return n
}
