//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// group puts c and all that it starts into a process group, which ends as a
// whole when c's context does.
func group(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
