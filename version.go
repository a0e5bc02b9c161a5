package main

// Set by the linker from git (see the Makefile).
var (
	version   = "v0.1.0-dev" // a semantic version: Vault accepts no other, and it must be the one registered
	commit    = "unknown"
	buildDate = "unknown"
)
