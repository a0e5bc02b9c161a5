package main

import (
	"os"
	"time"
)

// parentCheck is how often the plugin looks whether its Vault lives.
const parentCheck = time.Second

// endWithVault ends the process when Vault has died and could not end it. Nobody else would (go-plugin does not watch its
// parent), and it holds secrets. Without storage there is nothing left that it may do: it cannot tell which sessions other
// leases hold.
func endWithVault() {
	vault := os.Getppid()
	for os.Getppid() == vault {
		<-time.After(parentCheck)
	}
	os.Exit(1)
}
