package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// restarts has Vault reload the plugin, and then kills it. No change of config or keys is made meanwhile: nobody could tell
// whether one that is cut off was made.
func (f *faultMaker) restarts(ctx context.Context) {
	f.admin.Lock()
	defer f.admin.Unlock()
	f.between(ctx, 2*time.Second, 4*time.Second)
	f.restart("reload", f.reload)
	f.between(ctx, 2*time.Second, 4*time.Second)
	f.restart("kill", f.killPlugin)
}

// restart ends the plugin's process and waits until there is another.
func (f *faultMaker) restart(name string, end func() error) {
	defer f.past.begin(restarting, feltFor)()
	f.tally.fault(name)
	before, err := f.process()
	if err == nil {
		err = end()
	}
	if err == nil {
		err = vaultserver.Poll(time.Minute, func() error {
			if _, err := f.root.Logical().Read(mountPath + "/info"); err != nil { // starts it
				return err
			}
			now, err := f.process()
			if err == nil && now == before {
				err = fmt.Errorf("process %d is still there", before)
			}
			return err
		})
	}
	if err != nil {
		f.tally.fail("%s: %v", name, err)
	}
}

func (f *faultMaker) reload() error {
	_, err := f.root.Sys().ReloadPlugin(&api.ReloadPluginInput{Plugin: pluginName})
	return err
}

// killPlugin ends the plugin in the middle of whatever it does. A session that is being started then may stay unknown.
func (f *faultMaker) killPlugin() error {
	pid, err := f.process()
	if err != nil {
		return err
	}
	plugin, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return plugin.Kill()
}

// process finds the plugin's process. Vault starts others for a moment, to ask the plugin for its version.
func (k *soak) process() (pid int, err error) {
	pids, err := k.vault.PluginPIDs()
	if err == nil && len(pids) != 1 {
		err = fmt.Errorf("there are %d plugin processes, want 1", len(pids))
	}
	if err != nil {
		return 0, err
	}
	return pids[0], nil
}
