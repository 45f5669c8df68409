package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the driver that configure names
	"github.com/sirupsen/logrus"
)

// traffic is what went over a registry's connections.
type traffic struct {
	// Requests counts them by method.
	Requests map[string]int `json:"requests"`
	// Up and Down are bytes from and to the clients, headers included.
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
}

// plus is the sum of two.
func (t traffic) plus(o traffic) traffic { return t.combine(o, 1) }

// minus is what came after o.
func (t traffic) minus(o traffic) traffic { return t.combine(o, -1) }

func (t traffic) combine(o traffic, sign int) traffic {
	sum := traffic{Requests: map[string]int{}, Up: t.Up + int64(sign)*o.Up, Down: t.Down + int64(sign)*o.Down}
	maps.Copy(sum.Requests, t.Requests)
	for method, n := range o.Requests {
		sum.Requests[method] += sign * n
	}
	maps.DeleteFunc(sum.Requests, func(_ string, n int) bool { return n == 0 })
	return sum
}

// registry is a distribution registry on loopback that counts its traffic.
type registry struct {
	host     string // HOST:PORT
	dir      string // where it keeps its content
	server   *http.Server
	app      *handlers.App
	served   chan error
	mu       sync.Mutex
	requests map[string]int
	up, down atomic.Int64
}

// startRegistry serves a registry that keeps its content in the folder dir.
func startRegistry(ctx context.Context, dir string) (*registry, error) {
	logrus.SetOutput(io.Discard) // the registry's log; a failure shows in the tool's error
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a registry: %w", err)
	}
	r := &registry{host: listener.Addr().String(), dir: dir, requests: map[string]int{}, served: make(chan error, 1)}
	r.app = handlers.NewApp(ctx, configure(dir, r.host))
	r.server = &http.Server{Handler: http.HandlerFunc(r.count), ReadHeaderTimeout: time.Minute}
	go func() { r.served <- r.server.Serve(&countingListener{Listener: listener, registry: r}) }()
	return r, nil
}

// configure gives the configuration of a registry in the folder dir.
func configure(dir, host string) *configuration.Configuration {
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  configuration.Parameters{"rootdirectory": dir},
		"delete":      configuration.Parameters{"enabled": true},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.Host = "http://" + host
	c.HTTP.Secret = "bench"
	return c
}

func (r *registry) count(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests[req.Method]++
	r.mu.Unlock()
	r.app.ServeHTTP(w, req)
}

// traffic is what has gone over the connections so far.
func (r *registry) traffic() traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return traffic{Requests: maps.Clone(r.requests), Up: r.up.Load(), Down: r.down.Load()}
}

// content gives the folders of all stored blobs, below the registry's own, as
// the filesystem driver lays them out.
func (r *registry) content() ([]string, error) {
	return filepath.Glob(filepath.Join(r.dir, "docker/registry/v2/blobs/sha256/*/*"))
}

// reset takes a run's repositories away, and all blobs but those to keep. The
// next run finds a registry that has to store everything again; without this
// only the first one would.
func (r *registry) reset(id string, keep []string) error {
	err := os.RemoveAll(filepath.Join(r.dir, "docker/registry/v2/repositories", id))
	blobs, globErr := r.content()
	errs := []error{err, globErr}
	for _, blob := range blobs {
		if !slices.Contains(keep, blob) {
			errs = append(errs, os.RemoveAll(blob))
		}
	}
	return errors.Join(errs...)
}

// stop closes all connections and waits for the server's end.
func (r *registry) stop() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, r.app.Shutdown())
}

type countingListener struct {
	net.Listener
	registry *registry
}

// Accept gives the next connection, counted.
func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: c, registry: l.registry}, nil
}

type countingConn struct {
	net.Conn
	registry *registry
}

// Read counts what a client sends.
func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.registry.up.Add(int64(n))
	return n, err
}

// Write counts what a client gets.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.registry.down.Add(int64(n))
	return n, err
}

// ReadFrom keeps the kernel's short way from file to socket (sendfile), which
// a wrapped connection would otherwise lose.
func (c *countingConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	c.registry.down.Add(n)
	return n, err
}
