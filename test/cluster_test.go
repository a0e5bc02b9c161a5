//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// cluster is three Vault servers with Raft storage.
type cluster struct {
	nodes []*vaultServer
	// patient are the same nodes, with clients that try again while there is no leader. On a machine that is too busy, one
	// can be lost at any time.
	patient []*vaultServer
	network *network // between the nodes; nil where connections cannot be told apart
}

const clusterSize = 3

// startCluster makes a cluster of which all nodes vote, with the plugin in its catalog under its version.
func startCluster(t *testing.T, version string) *cluster {
	t.Helper()
	c := &cluster{}
	t.Cleanup(c.stop)
	if err := c.form(version); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) form(version string) (err error) {
	if canPartition {
		if c.network, err = newNetwork(clusterSize); err != nil {
			return err
		}
	}
	for i := range clusterSize {
		if err := c.launch(i); err != nil {
			return err
		}
	}
	first := c.nodes[0]
	if err := first.Initialise(); err != nil {
		return err
	}
	err = errors.Join(first.HurryVoters(), first.EnableAudit(), first.Register(pluginName, pluginName, version))
	if err != nil {
		return err
	}
	for _, node := range c.nodes[1:] {
		if err := node.Join(first.Server); err != nil {
			return err
		}
	}
	for _, node := range c.nodes {
		client, err := node.NewClient(first.Root.Token())
		if err != nil {
			return err
		}
		client.SetClientTimeout(3 * time.Minute)
		client.SetMaxRetries(400)
		client.SetMinRetryWait(100 * time.Millisecond)
		client.SetMaxRetryWait(500 * time.Millisecond)
		c.patient = append(c.patient, &vaultServer{Server: node.Server, root: client})
	}
	return first.WaitVoters(clusterSize, time.Minute)
}

// canPartition tells whether it can be found out which process a connection belongs to.
const canPartition = runtime.GOOS == "linux"

// launch starts the process of a node.
func (c *cluster) launch(i int) error {
	var clusterPort string
	node, err := launchNode(func(ports []string) *vaultserver.Raft {
		raft := &vaultserver.Raft{NodeID: fmt.Sprintf("node-%d", i), Address: ports[0], ClusterAddress: ports[1]}
		if c.network != nil {
			raft.ClusterAddress, raft.ClusterListen = c.network.address(i), ports[1]
		}
		clusterPort = ports[1]
		return raft
	})
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, node)
	if c.network != nil {
		c.network.add(node.Server, clusterPort)
	}
	return nil
}

// launchNode starts the process of a node with Raft storage, at two ports: for clients, and for other nodes. Somebody else may
// take a port before Vault does: then others are tried.
func launchNode(at func(ports []string) *vaultserver.Raft) (*vaultServer, error) {
	var err error
	for range 5 {
		var s *vaultserver.Server
		if s, err = launch(at(vaultserver.FreePorts(2))); err != nil {
			return nil, err
		}
		if err = s.WaitAnswer(); err == nil {
			return &vaultServer{Server: s, root: s.Root}, nil
		}
		s.Stop()
	}
	return nil, err
}

// raftVault is a server of its own whose storage is Raft's, as in production, with a client that waits for what takes long.
func raftVault(t *testing.T) *vaultServer {
	t.Helper()
	v, err := launchNode(func(ports []string) *vaultserver.Raft {
		return &vaultserver.Raft{NodeID: "alone", Address: ports[0], ClusterAddress: ports[1]}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Stop)
	if err := v.Initialise(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.EnableAudit(), v.Register(pluginName, pluginName, "")); err != nil {
		t.Fatal(err)
	}
	v.root.SetClientTimeout(10 * time.Minute)
	return v
}

func (c *cluster) stop() {
	if c.network != nil {
		c.network.heal()
	}
	var stopping sync.WaitGroup
	for _, node := range c.nodes {
		stopping.Go(node.Stop)
	}
	stopping.Wait()
	if c.network != nil {
		c.network.close()
	}
}

// leader waits until one of the nodes is active, but for that one, which may be nil, and returns it.
func (c *cluster) leader(t *testing.T, butFor *vaultServer) *vaultServer {
	t.Helper()
	var leader *vaultServer
	eventually(t, 2*time.Minute, func() error {
		for _, node := range c.nodes {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			active := node != butFor && node.IsActive(ctx)
			cancel()
			if active {
				leader = node
				return nil
			}
		}
		return errors.New("no node is active")
	})
	return leader
}

// whole waits until all nodes vote.
func (c *cluster) whole(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error { return c.leader(t, nil).WaitVoters(clusterSize, 5*time.Second) })
}

// index is the number of a node.
func (c *cluster) index(node *vaultServer) int {
	for i, n := range c.nodes {
		if n == node {
			return i
		}
	}
	return -1
}

// at is the mount as patient clients of a node see it.
func (c *cluster) at(node *vaultServer, m *mount) *mount {
	patient := c.patient[c.index(node)]
	return &mount{vaultServer: patient, path: m.path, client: patient.root}
}

// restartNode starts a node again that was stopped or killed.
func (v *vaultServer) restartNode(t *testing.T) {
	t.Helper()
	if err := errors.Join(v.Restart(), v.UnsealNode()); err != nil {
		t.Fatal(err)
	}
}

// pluginsOf returns the plugin processes of a server.
func (v *vaultServer) pluginsOf(t *testing.T) []int {
	t.Helper()
	pids, err := v.PluginPIDs()
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// signal sends a signal to processes at once; those that are gone do not mind.
func signal(sig syscall.Signal, pids ...int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}
