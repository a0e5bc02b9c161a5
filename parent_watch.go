package main

import (
	"os"
	"time"
)

// parentCheck is how often the plugin looks whether its Vault is alive.
const parentCheck = time.Second

// exitWithParent ends the process when its parent, Vault, has died and could not end it. Nothing else would
// (go-plugin does not watch its parent), and the process holds secrets. Without storage there is nothing left that it
// may do: it cannot tell which sessions other leases hold. In a container of its own, or under a wrapper that stays,
// it cannot see Vault's death.
func exitWithParent(parent int) {
	for os.Getppid() == parent {
		<-time.After(parentCheck)
	}
	os.Exit(1)
}
