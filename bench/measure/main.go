//go:build unix

// Command measure runs another command and writes down what it took:
//
//	measure FILE PROGRAM [ARG…]
//
// FILE gets one line: wall time and CPU time (user and system) in nanoseconds,
// peak memory in bytes, exit code. It is a program of its own because Linux
// counts the memory of the process that starts another one towards the peak
// of the one started (the two share an address space until the exec): started
// by the benchmark itself, with the registry in it, every tool would seem as
// large as that. Hence also the short list of imports.
package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fail("usage: measure FILE PROGRAM [ARG…]")
	}
	start := time.Now()
	p, err := os.StartProcess(os.Args[2], os.Args[2:], &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		fail("starting '" + os.Args[2] + "': " + err.Error())
	}
	state, err := p.Wait()
	wall := time.Since(start)
	if err != nil {
		fail("waiting for '" + os.Args[2] + "': " + err.Error())
	}
	line := []byte{}
	for _, n := range []int64{int64(wall), int64(state.UserTime() + state.SystemTime()), peak(state), int64(state.ExitCode())} {
		line = append(strconv.AppendInt(line, n, 10), ' ')
	}
	if err := os.WriteFile(os.Args[1], line, 0o600); err != nil {
		fail("writing the measurement: " + err.Error())
	}
	if code := state.ExitCode(); code != 0 {
		os.Exit(1)
	}
}

// peak is the largest resident set in bytes; Linux and the BSDs count in KiB,
// Darwin in bytes (getrusage(2)).
func peak(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

func fail(message string) {
	os.Stderr.WriteString("measure: " + message + "\n")
	os.Exit(1)
}
