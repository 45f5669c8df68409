//go:build !windows

package daemon

import (
	"context"
	"errors"
	"net"
)

// defaultHost is where the engine listens unless it is told otherwise.
const defaultHost = "unix:///var/run/docker.sock"

func dialPipe(context.Context, string) (net.Conn, error) {
	return nil, errors.New("there are named pipes on Windows only")
}
