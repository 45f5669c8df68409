// Command multipack packages Cloud Native Buildpacks for many platforms.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/multipack/multipack/internal/commands"
	"github.com/multipack/multipack/internal/fault"
)

// version is set by the linker (see the Makefile).
var version = "dev"

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	app := &commands.App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Now: time.Now, Version: version,
	}
	done := make(chan int, 1)
	go func() { done <- app.Run(ctx, os.Args) }()
	select {
	case code := <-done:
		os.Exit(code)
	case <-ctx.Done():
		stop() // a second signal ends the process at once
	}
	select {
	case code := <-done:
		os.Exit(code)
	case <-time.After(900 * time.Millisecond): // something does not listen: leave all the same
		os.Exit(fault.Interrupted.ExitCode())
	}
}
