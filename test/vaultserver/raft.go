package vaultserver

import "fmt"

// Raft is what makes a server a node of a cluster.
type Raft struct {
	NodeID         string
	Address        string // host and port for clients
	ClusterAddress string // host and port for other nodes to be told of
	// ClusterListen is where the node listens for the others, if that is not ClusterAddress.
	ClusterListen string
}

// url is where other nodes find this one's API.
func (r *Raft) url() string { return "http://" + r.Address }

// config is the node's part of the configuration. The lowest multiplier makes it notice the death of a leader soonest.
func (r *Raft) config(dir string) string {
	listen := r.ClusterListen
	if listen == "" {
		listen = r.ClusterAddress
	}
	return fmt.Sprintf(`
storage "raft" {
  path = %q
  node_id = %q
  performance_multiplier = 1
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
