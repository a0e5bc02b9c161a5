package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// engine is a mount of a secrets engine whose tokens are read. Those of different programs are processes of their own.
type engine struct {
	name    string // in tables
	mount   string
	path    string // of the read
	program string // file name of the plugin, and what it is registered as
}

var (
	shared = engine{"shared", "shared", "shared/token", pluginProgram}
	fresh  = engine{"fresh", "fresh", "fresh/token", pluginProgram}

	leanPut   = engine{"lean put", "lean-put", "lean-put/token-put", "bench-lean-put"}
	leanNoop  = engine{"lean no-op", "lean-noop", "lean-noop/token", "bench-lean-noop"}
	leanCalls = engine{"lean, 3 calls", "lean-calls", "lean-calls/token-calls", "bench-lean-calls"}

	// profiled is a fresh mount of the plugin built with profiles, which tell the size of its heap.
	profiled = engine{"fresh", "profiled", "profiled/token", profiledProgram}
)

const (
	pluginProgram   = "vault-plugin-secrets-workfront"
	profiledProgram = pluginProgram + "-profiled"
)

func (e engine) isPlugin() bool { return e.program == pluginProgram || e.program == profiledProgram }

// rig is a new Vault server with engines mounted. Each part of the benchmark has one of its own: what one part leaves
// behind must not slow down the next.
type rig struct {
	vault *vaultserver.Server
	sim   *simulator
	*reader
	options rigOptions
}

// rigOptions say how a rig differs from the usual one.
type rigOptions struct {
	raft      bool // one node with Raft storage instead of storage in memory
	telemetry bool // Vault counts calls to storage
	// defaultConnections leaves max_connections at its default. Otherwise it is as high as it can be, so that what is
	// measured is the plugin and not the limit.
	defaultConnections bool
}

// mostConnections is the highest max_connections that the plugin takes.
const mostConnections = 64

// newRig starts a server and mounts engines. The caller stops the server.
func (b *bench) newRig(engines ...engine) (*rig, error) { return b.startRig(rigOptions{}, engines) }

func (b *bench) startRig(o rigOptions, engines []engine) (*rig, error) {
	server, err := b.startVault(o)
	if err != nil {
		return nil, err
	}
	r := &rig{vault: server, sim: b.sim, options: o}
	if err := r.setUp(b, engines); err != nil {
		server.Stop()
		return nil, fmt.Errorf("set up (the log of vault is %s): %w", server.LogFile(), err)
	}
	return r, nil
}

// startVault starts a server. Another process may take a port before Vault does: then others are tried.
func (b *bench) startVault(o rigOptions) (*vaultserver.Server, error) {
	var problem error
	for range 5 {
		dir, err := os.MkdirTemp(b.dir, "v")
		if err != nil {
			return nil, err
		}
		options := vaultserver.Options{
			Binary: b.vault, Dir: dir, PluginDir: b.plugins, LogLevel: "error", Telemetry: o.telemetry,
		}
		if o.raft {
			ports := vaultserver.FreePorts(2)
			options.Raft = &vaultserver.Raft{NodeID: "alone", Address: ports[0], ClusterAddress: ports[1]}
		}
		server, err := vaultserver.Start(options)
		if err != nil {
			return nil, err
		}
		if problem = server.WaitAnswer(); problem == nil {
			return server, nil
		}
		server.Stop()
	}
	return nil, problem
}

func (r *rig) setUp(b *bench, engines []engine) error {
	if err := r.vault.Initialise(); err != nil {
		return err
	}
	r.vault.Root.SetClientTimeout(10 * time.Minute) // a revocation with sync takes long on Raft
	r.reader = &reader{dial: r.vault.Dial, token: r.vault.Root.Token()}
	registered := map[string]bool{}
	for _, e := range engines {
		if !registered[e.program] {
			if err := r.vault.Register(e.program, e.program, ""); err != nil {
				return err
			}
			registered[e.program] = true
		}
		if err := r.vault.Root.Sys().Mount(e.mount, &api.MountInput{Type: e.program}); err != nil {
			return err
		}
		if e.isPlugin() {
			if err := r.configure(b, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// configure makes a mount of the plugin ready to issue tokens, as an operator would.
func (r *rig) configure(b *bench, e engine) error {
	_, err := r.vault.Root.Logical().Write(e.mount+"/keys/default/import", map[string]any{"private_key": string(b.privatePEM)})
	if err != nil {
		return err
	}
	return r.writeConfig(e)
}

// writeConfig writes the configuration anew. The plugin drops its connections to Workfront then.
func (r *rig) writeConfig(e engine) error {
	config := map[string]any{
		"base_url":          r.sim.BaseURL,
		"ca_cert":           r.sim.caCert,
		"allow_custom_host": true,
		"client_id":         r.sim.ClientID,
		"client_secret":     r.sim.ClientSecret,
		"customer_id":       r.sim.CustomerID,
		"user_id":           r.sim.UserID,
		"share_session":     e == shared,
	}
	if !r.options.defaultConnections {
		config["max_connections"] = mostConnections
	}
	_, err := r.vault.Root.Logical().Write(e.mount+"/config", config)
	return err
}

// process finds the process of an engine. Vault starts others for a moment, to ask a plugin for its version.
func (r *rig) process(e engine) (found process, err error) {
	err = vaultserver.Poll(20*time.Second, func() error {
		pids, err := r.vault.PluginPIDs()
		if err != nil {
			return err
		}
		count := 0
		for _, pid := range pids {
			if program, err := process(pid).program(); err == nil && program == e.program {
				found = process(pid)
				count++
			}
		}
		if count != 1 {
			return fmt.Errorf("%s has %d processes, want 1", e.program, count)
		}
		return nil
	})
	return found, err
}

// cpuOf is the processor time that the plugin of an engine spends while something is done.
func (r *rig) cpuOf(e engine, do func() error) (time.Duration, error) {
	p, err := r.process(e)
	if err != nil {
		return 0, err
	}
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := p.cpu()
	return after - before, err
}

// residentOf is the memory that the plugin of an engine occupies.
func (r *rig) residentOf(e engine) (float64, error) {
	p, err := r.process(e)
	if err != nil {
		return 0, err
	}
	return p.resident()
}

// revoke revokes all leases of an engine, and waits for that.
func (r *rig) revoke(e engine) error {
	_, err := r.vault.Root.Logical().Write("sys/leases/revoke-prefix/"+e.path, map[string]any{"sync": true})
	return err
}

// payload is the size of an engine's answer in bytes.
func (r *rig) payload(e engine) (int, error) {
	secret, err := r.vault.Root.Logical().Read(e.path)
	if err != nil {
		return 0, err
	}
	data, err := json.Marshal(secret.Data)
	return len(data), err
}

// encodeKeys returns the PEM of a private key and of its public half.
func encodeKeys(key *rsa.PrivateKey) (private, public []byte, err error) {
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}), nil
}

// copyPlugin puts a program into the plugin directory under a name of its own.
func (b *bench) copyPlugin(name, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.plugins, name), content, 0o700)
}
