//go:build !unix

package main

import "os/exec"

// group does nothing where there are no process groups; there is no measure
// program either.
func group(*exec.Cmd) {}
