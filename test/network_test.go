//go:build e2e

package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// network carries what the nodes of a cluster say to one another, so that one of them can be cut off: what it says and is
// told then waits, as packets would that are sent again and again. Clients, and Workfront, are reached by other ways.
//
// All nodes know a node by the same address, so who calls is found out by the process that owns the connection.
type network struct {
	nodes     []*vaultserver.Server
	listeners []net.Listener

	mu     sync.Mutex
	apart  int           // the node that is cut off
	healed chan struct{} // not nil while one is; closed when it is back
	open   map[net.Conn]struct{}
	closed bool
}

func newNetwork(n int) (*network, error) {
	w := &network{open: map[net.Conn]struct{}{}}
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.close()
			return nil, err
		}
		w.listeners = append(w.listeners, l)
	}
	return w, nil
}

// address is where the others find a node.
func (w *network) address(node int) string { return w.listeners[node].Addr().String() }

// add makes a server the next node, which listens for the others there.
func (w *network) add(s *vaultserver.Server, address string) {
	w.mu.Lock()
	node := len(w.nodes)
	w.nodes = append(w.nodes, s)
	w.mu.Unlock()
	go func() {
		for {
			conn, err := w.listeners[node].Accept()
			if err != nil {
				return
			}
			go w.serve(conn, node, address)
		}
	}()
}

// serve carries one connection to a node.
func (w *network) serve(caller net.Conn, to int, address string) {
	from, err := w.owner(caller.RemoteAddr().(*net.TCPAddr).Port)
	if err != nil {
		_ = caller.Close() // it is gone already
		return
	}
	w.await(from, to)
	callee, err := net.Dial("tcp", address)
	if err != nil {
		_ = caller.Close()
		return
	}
	if !w.keep(caller, callee) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.carry(caller, callee, from, to) })
	both.Go(func() { w.carry(callee, caller, from, to) })
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, caller)
	delete(w.open, callee)
}

// carry takes one direction of a connection. When one ends, so does the other.
func (w *network) carry(source, target net.Conn, from, to int) {
	defer func() { _, _ = source.Close(), target.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := source.Read(buffer)
		w.await(from, to)
		if n > 0 {
			if _, err := target.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// await waits while one of the two nodes is cut off.
func (w *network) await(from, to int) {
	w.mu.Lock()
	healed := w.healed
	affected := w.apart == from || w.apart == to
	w.mu.Unlock()
	if healed != nil && affected {
		<-healed
	}
}

func (w *network) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range conns {
		if w.closed {
			_ = conn.Close()
		} else {
			w.open[conn] = struct{}{}
		}
	}
	return !w.closed
}

// cut cuts a node off from the others.
func (w *network) cut(node int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apart, w.healed = node, make(chan struct{})
}

// heal lets all nodes talk to one another again.
func (w *network) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.healed != nil {
		close(w.healed)
		w.healed = nil
	}
}

func (w *network) close() {
	w.heal()
	for _, l := range w.listeners {
		_ = l.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for conn := range w.open {
		_ = conn.Close()
	}
}

// owner finds the node that a TCP port of this machine belongs to.
func (w *network) owner(port int) (node int, err error) {
	inode, err := socketAt(port)
	if err != nil {
		return 0, err
	}
	w.mu.Lock()
	nodes := w.nodes
	w.mu.Unlock()
	for node, s := range nodes {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.PID()))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil && target == "socket:["+inode+"]" {
				return node, nil
			}
		}
	}
	return 0, fmt.Errorf("port %d belongs to no node", port)
}

// socketAt returns the inode of the socket of 127.0.0.1 at a port, from the table that proc(5) describes.
func socketAt(port int) (inode string, err error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	local := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 9 && fields[1] == local && fields[9] != "0" {
			return fields[9], nil
		}
	}
	return "", fmt.Errorf("no socket has port %d", port)
}
