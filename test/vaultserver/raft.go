package vaultserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hashicorp/vault/api"
)

// Raft is what makes a server a node of a cluster.
type Raft struct {
	NodeID         string
	Address        string // host and port for clients
	ClusterAddress string // host and port for other nodes to be told of
	// ClusterListen is where the node listens for the others, if that is not ClusterAddress.
	ClusterListen string
}

// FreePorts finds addresses that nobody listens at, below the ports that outgoing connections are given on Linux.
func FreePorts(n int) []string {
	var found []string
	for len(found) < n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		found = append(found, l.Addr().String())
	}
	return found
}

// url is where other nodes find this one's API.
func (r *Raft) url() string { return "http://" + r.Address }

// config is the node's part of the configuration. The multiplier is below Vault's default, so that the death of a leader is
// noticed soon, and above what is recommended for production: on a busy machine, no node would stay the leader. The intervals
// are those at which new nodes are looked at.
func (r *Raft) config(dir string) string {
	listen := r.ClusterListen
	if listen == "" {
		listen = r.ClusterAddress
	}
	return fmt.Sprintf(`
storage "raft" {
  path = %q
  node_id = %q
  performance_multiplier = 3
  autopilot_update_interval = "500ms"
  autopilot_reconcile_interval = "1s"
}
listener "tcp" {
  address = %q
  cluster_address = %q
  tls_disable = true
}
api_addr = %q
cluster_addr = %q
`, dir, r.NodeID, r.Address, listen, r.url(), "https://"+r.ClusterAddress)
}

// WaitAnswer waits until a new server answers at its address, and fails if it ends instead, as it does if the address is taken.
func (s *Server) WaitAnswer() error {
	return s.whileAlive(30*time.Second, func() error {
		_, err := s.Root.Sys().Health()
		return err
	})
}

// HurryVoters has new nodes vote after a second. By Vault's default it takes them ten and more.
func (s *Server) HurryVoters() error {
	_, err := s.Root.Logical().Write("sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"})
	return err
}

// Join makes a new server a node of the cluster that another one is the leader of, and unseals it.
func (s *Server) Join(leader *Server) error {
	s.UnsealKey = leader.UnsealKey
	s.Root.SetToken(leader.Root.Token())
	err := s.whileAlive(30*time.Second, func() error {
		joined, err := s.Root.Sys().RaftJoin(&api.RaftJoinRequest{LeaderAPIAddr: leader.options.Raft.url()})
		if err == nil && !joined.Joined {
			err = errors.New("refused")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("join the cluster: %w", err)
	}
	return s.UnsealNode()
}

// UnsealNode unseals a node and waits until it is active or follows the one that is.
func (s *Server) UnsealNode() error {
	unsealed := false
	return s.whileAlive(60*time.Second, func() error {
		if !unsealed {
			if _, err := s.Root.Sys().Unseal(s.UnsealKey); err != nil { // its listener may not be there yet
				return fmt.Errorf("unseal vault: %w", err)
			}
			unsealed = true
		}
		leader, err := s.Root.Sys().Leader()
		if err == nil && leader.LeaderAddress == "" {
			err = errors.New("the node knows no leader")
		}
		return err
	})
}

// IsActive tells whether the node says that it is the active one.
func (s *Server) IsActive(ctx context.Context) bool {
	health, err := s.Root.Sys().HealthWithContext(ctx)
	return err == nil && health.Initialized && !health.Sealed && !health.Standby
}

// WaitVoters waits until so many nodes vote: before, the death of one may leave the others without a quorum.
func (s *Server) WaitVoters(n int, limit time.Duration) error {
	return Poll(limit, func() error {
		secret, err := s.Root.Logical().Read("sys/storage/raft/configuration")
		if err != nil {
			return err
		}
		configuration, _ := secret.Data["config"].(map[string]any)
		servers, _ := configuration["servers"].([]any)
		voters := 0
		for _, server := range servers {
			if voter, _ := server.(map[string]any)["voter"].(bool); voter {
				voters++
			}
		}
		if voters != n {
			return fmt.Errorf("%d of %d nodes vote, want %d", voters, len(servers), n)
		}
		return nil
	})
}
