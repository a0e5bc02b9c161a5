//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach gives a process a group of its own: Ctrl-C then reaches this program alone, which stops the others in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
