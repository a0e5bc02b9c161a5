package main

import (
	"os"
	"time"
)

// parentCheck is how often the plugin looks whether its Vault lives.
const parentCheck = time.Second

// endWithVault ends the process when Vault, its parent, has died and could not end it. In a container of its own, or under a
// wrapper that stays, it cannot see that. Nobody else would (go-plugin does not watch its
// parent), and it holds secrets. Without storage there is nothing left that it may do: it cannot tell which sessions other
// leases hold.
func endWithVault(vault int) {
	for os.Getppid() == vault {
		<-time.After(parentCheck)
	}
	os.Exit(1)
}
