package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// commandTimeout ends a command that hangs; the row then says so.
const commandTimeout = 10 * time.Minute

// command is one call of a program.
type command struct {
	// args are the program's arguments; the tool's own path and its fixed
	// flags come before them.
	args []string
	// dir is the working folder, the run's own where "".
	dir string
}

// cmd gives the command of a contender's own tool.
func cmd(args ...string) command { return command{args: args} }

// in gives c with another working folder.
func (c command) in(dir string) command {
	c.dir = dir
	return c
}

// cost is what commands took together.
type cost struct {
	Wall time.Duration `json:"wall"`
	CPU  time.Duration `json:"cpu"`
	Peak int64         `json:"peak"` // bytes, of the largest
}

func (c cost) plus(o cost) cost {
	return cost{Wall: c.Wall + o.Wall, CPU: c.CPU + o.CPU, Peak: max(c.Peak, o.Peak)}
}

// measured runs argv through the program launcher (bench/measure) and gives
// its cost and what it wrote to stdout. The error of a command that fails holds
// the last line of its stderr.
func measured(ctx context.Context, launcher string, argv, env []string, dir string) (cost, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	file, err := os.CreateTemp(filepath.Dir(launcher), "cost-")
	if err != nil {
		return cost{}, nil, err
	}
	defer os.Remove(file.Name())
	if err := file.Close(); err != nil {
		return cost{}, nil, err
	}
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, launcher, append([]string{file.Name()}, argv...)...)
	c.Env, c.Dir, c.Stdout, c.Stderr = env, dir, &stdout, &stderr
	group(c)
	runErr := c.Run()
	if ctx.Err() != nil {
		return cost{}, nil, fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	raw, err := os.ReadFile(file.Name())
	if err != nil {
		return cost{}, nil, err
	}
	var got cost
	var code int
	if _, err := fmt.Fscan(bytes.NewReader(raw), &got.Wall, &got.CPU, &got.Peak, &code); err != nil {
		return cost{}, nil, errors.Join(runErr, fmt.Errorf("reading the measurement %q: %w", raw, err))
	}
	if code != 0 {
		return cost{}, nil, fmt.Errorf("exit %d: %s", code, reason(stderr.String(), stdout.String()))
	}
	return got, stdout.Bytes(), runErr
}

// reason finds the line that says why a command failed: the last one that
// speaks of an error, else the last one.
func reason(outputs ...string) string {
	last := ""
	for _, out := range outputs {
		for line := range strings.Lines(out) {
			line = strings.TrimSpace(line)
			switch low := strings.ToLower(line); {
			case line == "":
			case strings.Contains(low, "error") || strings.Contains(low, "fail"):
				last = line
			case last == "":
				last = line
			}
		}
		if last != "" {
			return last
		}
	}
	return "no message"
}
