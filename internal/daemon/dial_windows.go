package daemon

import (
	"context"
	"net"

	"github.com/Microsoft/go-winio"
)

// defaultHost is where the engine listens unless it is told otherwise.
const defaultHost = "npipe:////./pipe/docker_engine"

func dialPipe(ctx context.Context, path string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, path)
}
