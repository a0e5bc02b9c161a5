package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
	"vault-plugin-secrets-workfront/test/vaultserver"
)

const (
	pluginName = "vault-plugin-secrets-workfront"
	mountPath  = "workfront"
	// sessionTTL is shorter than any round, so that in each of them sessions that could not be logged out end by
	// themselves, and shared ones get old enough to be replaced in the background.
	sessionTTL = 25 * time.Second
	// assumedTTL is shorter: a lease on a session whose end Workfront does not state must not outlive it either.
	assumedTTL = 18 * time.Second
	// envProfileDir is where the plugin listens for profiles: see profile.go.
	envProfileDir = "WORKFRONT_PROFILE_DIR"
)

// soak is a run.
type soak struct {
	options
	out     io.Writer
	dir     string // holds the logs
	vault   *vaultserver.Server
	root    *api.Client
	storage string // of the mount, below sys/raw

	workfront *workfronttest.Server
	app       workfronttest.Application
	users     [2]workfronttest.User

	tally   tally
	past    past
	secrets secrets
	rounds  []round
	samples []sample

	lostMu sync.Mutex
	lost   map[string]bool // tokens of sessions that were started when the plugin was killed

	shared sharedSessions

	absentMu sync.Mutex
	absent   []absent // in this round

	// admin is held by what changes config and keys: each change is made from what was there before.
	admin        sync.Mutex
	clientSecret string
	key          signingKey
	keysMade     int
}

// prepare starts the stand-in and a Vault server with a mount that can issue sessions.
func prepare(o options, out io.Writer) (*soak, error) {
	dir, err := os.MkdirTemp("", "soak-")
	if err == nil {
		// Vault refuses a plugin directory that is a symbolic link, as macOS' temporary directory is one.
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, err
	}
	k := &soak{options: o, out: out, dir: dir, lost: map[string]bool{}}
	if err := errors.Join(k.startWorkfront(), k.startVault()); err != nil {
		k.stop()
		return nil, fmt.Errorf("%w (logs: %s)", err, dir)
	}
	if err := k.configure(); err != nil {
		k.stop()
		return nil, fmt.Errorf("%w (logs: %s)", err, dir)
	}
	return k, nil
}

func (k *soak) startWorkfront() (err error) {
	if k.workfront, err = workfronttest.Start(workfronttest.Options{SessionTTL: sessionTTL}); err != nil {
		return err
	}
	if k.app, err = k.workfront.CreateApplication(); err != nil {
		return err
	}
	k.clientSecret = k.app.ClientSecret
	k.secrets.add("a client secret", k.clientSecret)
	for i := range k.users {
		k.users[i] = workfronttest.User{ID: workfronttest.NewID(), Name: fmt.Sprintf("User %d", i), EmailAddr: fmt.Sprintf("user%d@example.com", i)}
		if err := k.workfront.AddUser(k.users[i]); err != nil {
			return err
		}
	}
	k.workfront.SetBehaviour(usual())
	return nil
}

// customersLimit is how many calls at a time a customer was documented to have, those of other integrations included.
const customersLimit = 10

// usual is how Workfront behaves when nothing is wrong. What it refuses it repeats, so that the plugin's answers and log
// would show if the plugin did, too.
func usual() workfronttest.Behaviour {
	b := workfronttest.DefaultBehaviour()
	b.EchoRefusals = true
	b.MaxCalls = customersLimit
	b.SessionIdle = idle
	return b
}

func (k *soak) startVault() error {
	plugins, profiles, server := filepath.Join(k.dir, "plugins"), k.profileDir(), filepath.Join(k.dir, "vault")
	for _, dir := range []string{plugins, profiles, server} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	content, err := os.ReadFile(k.plugin)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(plugins, pluginName), content, 0o700); err != nil {
		return err
	}
	if err := os.Setenv(envProfileDir, profiles); err != nil { // Vault's environment is the plugin's
		return err
	}
	k.vault, err = vaultserver.Start(vaultserver.Options{
		Binary: k.options.vault, Dir: server, PluginDir: plugins, LogLevel: "debug", RawStorage: true,
	})
	if err != nil {
		return err
	}
	if err := k.vault.Initialise(); err != nil {
		return err
	}
	k.root = k.vault.Root
	if err := k.vault.Register(pluginName, pluginName, ""); err != nil {
		return err
	}
	if err := k.root.Sys().Mount(mountPath, &api.MountInput{Type: pluginName}); err != nil {
		return err
	}
	mounts, err := k.root.Sys().ListMounts()
	if err != nil {
		return err
	}
	k.storage = "sys/raw/logical/" + mounts[mountPath+"/"].UUID
	return k.root.Sys().PutPolicy(readerPolicy, fmt.Sprintf("path %q { capabilities = [\"read\"] }", mountPath+"/token*"))
}

// configure makes keys, config and roles.
func (k *soak) configure() error {
	own, err := k.makeKey("own", k.users[1])
	if err != nil {
		return err
	}
	if k.key, err = k.makeKey("first", k.users[0]); err != nil {
		return err
	}
	if err := k.write("config", k.config()); err != nil {
		return err
	}
	for _, r := range stableRoles {
		if err := k.writeRole(r, own); err != nil {
			return err
		}
	}
	return nil
}

// config is what is written at the start, and to put things right before each rest.
func (k *soak) config() map[string]any {
	return map[string]any{
		"base_url": k.workfront.URL(), "ca_cert": k.workfront.CACert(), "allow_custom_host": true,
		"client_id": k.app.ClientID, "client_secret": k.clientSecret, "customer_id": k.app.CustomerID,
		"user_id": k.users[0].ID, "key": k.key.name,
		"ttl": "12s", "session_ttl": assumedTTL.String(), "request_timeout": "4s", "max_retries": 2,
	}
}

func (k *soak) stop() {
	if k.vault != nil {
		k.vault.Stop()
	}
	if k.workfront != nil {
		k.workfront.Close()
	}
}

// write writes below the mount and drops the answer.
func (k *soak) write(path string, data map[string]any) error {
	_, err := k.root.Logical().Write(mountPath+"/"+path, data)
	return err
}
