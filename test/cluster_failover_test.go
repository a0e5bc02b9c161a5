//go:build e2e

package test

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// incident is something that happens to the leader of a cluster.
type incident struct {
	name string
	// prepare, if set, is done at the leader before.
	prepare func(t *testing.T, s *survivors, leader *vaultServer)
	happen  func(t *testing.T, s *survivors, leader *vaultServer)
	// mend, if set, makes the cluster whole again.
	mend func(t *testing.T, s *survivors, leader *vaultServer)
	// stays says that the leader remains the leader.
	stays bool
	// kills says that exchanges in flight die with the plugin.
	kills bool
}

// TestCluster lets things happen to the leaders of a cluster, one after the other, while clients of all nodes read, renew and
// revoke. (Standbys pass everything on to the leader.) The long form lets them happen again and again.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := newSurvivors(t)
	s.oneExchangeEach(t)
	again := incidents()
	for _, i := range again {
		if i.name == "step-down" {
			i.prepare = changeKey
		}
		s.endure(t, i)
	}
	s.endure(t, incident{name: "rolling upgrade", stays: true, happen: upgrade})
	// What follows happens to the new version.
	s.endure(t, again[0])
	if os.Getenv(envLong) != "" {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed of the order: %d", seed) // shown on failure
		random := rand.New(rand.NewPCG(seed, 0))
		for range 5 {
			random.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			for _, i := range again {
				s.endure(t, i)
			}
		}
	}
	s.end(t)
}

func incidents() []incident {
	restart := func(t *testing.T, _ *survivors, leader *vaultServer) { leader.restartNode(t) }
	all := []incident{
		{
			name: "kill -9 of the leader's Vault", kills: true,
			happen: func(_ *testing.T, _ *survivors, leader *vaultServer) { leader.Kill() }, // its plugin ends by itself
			mend:   restart,
		},
		{
			name: "kill -9 of the leader's Vault and plugin", kills: true,
			happen: func(t *testing.T, _ *survivors, leader *vaultServer) {
				signal(syscall.SIGKILL, append(leader.pluginsOf(t), leader.PID())...)
				leader.Kill()
			},
			mend: restart,
		},
		{
			name: "seal of the leader",
			happen: func(t *testing.T, _ *survivors, leader *vaultServer) {
				if err := leader.root.Sys().Seal(); err != nil {
					t.Fatal(err)
				}
			},
			mend: func(t *testing.T, _ *survivors, leader *vaultServer) {
				if err := leader.UnsealNode(); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			// Frozen whole, as a virtual machine is. Thawed, it takes itself for the leader.
			name: "freeze of the leader",
			happen: func(t *testing.T, s *survivors, leader *vaultServer) {
				s.frozen = append(leader.pluginsOf(t), leader.PID())
				signal(syscall.SIGSTOP, s.frozen...)
			},
			mend: func(_ *testing.T, s *survivors, _ *vaultServer) { signal(syscall.SIGCONT, s.frozen...) },
		},
		{
			name:   "stop and restart of the leader",
			happen: func(_ *testing.T, _ *survivors, leader *vaultServer) { leader.Stop() },
			mend:   restart,
		},
	}
	if canPartition {
		all = append(all, incident{
			// Workfront and clients still reach it.
			name:   "partition of the leader",
			happen: func(_ *testing.T, s *survivors, leader *vaultServer) { s.network.cut(s.index(leader)) },
			mend:   func(_ *testing.T, s *survivors, _ *vaultServer) { s.network.heal() },
		})
	}
	return append(all, incident{
		// The last in the short form: Vault does not let a node lead again for 10 s after it, which the next incident may have to
		// wait for.
		name: "step-down",
		happen: func(t *testing.T, _ *survivors, leader *vaultServer) {
			if err := leader.root.Sys().StepDown(); err != nil {
				t.Fatal(err)
			}
		},
	})
}
