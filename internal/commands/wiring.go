package commands

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/klauspost/compress/gzip"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/pkg/source"
)

// parseRef reads a reference; whether a path is there is asked of the disk.
func parseRef(given string) (reference.Ref, error) { return reference.Parse(given, source.Stat) }

// registry is the one client of the run. Making it touches neither network nor
// credentials.
func (s *session) registry() (*registry.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	c, err := registry.New(registry.Config{
		Insecure: s.globals.insecure,
		AuthFile: s.globals.authfile, CAFile: s.globals.cafile,
		Retries: s.globals.retries, Requests: s.requests(),
		UserAgent: "multipack/" + s.app.Version,
		Getenv:    s.app.Getenv,
		Observe: func(r registry.Request) {
			if s.console.Verbose() {
				s.console.Debug("%s", describeRequest(r))
			}
		},
	})
	if err == nil {
		s.client = c
	}
	return c, err
}

// describeRequest is the line that -v shows for each request.
func describeRequest(r registry.Request) string {
	outcome := fmt.Sprint(r.Status)
	if r.Err != nil {
		outcome = r.Err.Error()
	}
	return fmt.Sprintf("%s %s: %s (%d bytes sent, %d received)", r.Method, r.URL, outcome, r.Sent, r.Received)
}

// trust lets the host of a registry reference use plain HTTP where the
// command's own --insecure says so. It must come before the first request.
func (s *session) trust(insecure bool, refs ...reference.Ref) {
	for _, ref := range refs {
		if insecure && ref.Kind == reference.Registry {
			s.globals.insecure = append(s.globals.insecure, ref.Name.Context().RegistryStr())
		}
	}
}

// opener opens every kind of reference.
func (s *session) opener() (source.Opener, error) {
	client, err := s.registry()
	if err != nil {
		return nil, err
	}
	return s.openerWith(client), nil
}

// openerWith opens what is in registries with r.
func (s *session) openerWith(r source.Registry) source.Opener {
	return source.New(source.Deps{
		Registry: r,
		Daemon:   func(ctx context.Context) (source.Daemon, error) { return s.engine(ctx) },
		Lists:    s,
		Stdin:    s.app.In,
		Gzip: func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, gzip.BestSpeed)
		},
	})
}

// open opens one reference; it is closed when the run ends.
func (s *session) open(ctx context.Context, ref reference.Ref) (source.Opened, error) {
	opener, err := s.opener()
	if err != nil {
		return source.Opened{}, err
	}
	return s.openWith(ctx, opener, ref)
}

func (s *session) openWith(ctx context.Context, opener source.Opener, ref reference.Ref) (source.Opened, error) {
	opened, err := opener.Open(ctx, ref)
	if err == nil {
		s.atEnd(func() { _ = opened.Done() })
	}
	return opened, err
}

// manifestBytes bounds the cache of manifests and configs.
const manifestBytes = 64 << 20

// look is open for commands that show what an artifact is: children and configs
// that were read before are taken from the cache. That they are still in the
// registry is not to be concluded from it.
func (s *session) look(ctx context.Context, ref reference.Ref) (source.Opened, error) {
	client, err := s.registry()
	if err != nil {
		return source.Opened{}, err
	}
	var cache registry.Cache
	if dir := s.cacheDir(); dir != "" {
		cache = registry.NewFileCache(filepath.Join(dir, "manifests"), manifestBytes)
	}
	return s.openWith(ctx, s.openerWith(client.Cached(cache)), ref)
}

// engine is the Docker engine's client, made when one is first needed.
func (s *session) engine(ctx context.Context) (*daemon.Client, error) {
	client, err := daemon.New(ctx, s.app.Getenv)
	if err == nil {
		s.atEnd(func() { _ = client.Close() })
	}
	return client, err
}

// publisher writes to every kind of destination.
func (s *session) publisher(cnb publish.CNB, detail bool, observe publish.Observer) (*publish.Multi, error) {
	deps, err := s.publishDeps(cnb, detail, observe)
	if err != nil {
		return nil, err
	}
	return publish.New(deps), nil
}

func (s *session) publishDeps(cnb publish.CNB, detail bool, observe publish.Observer) (publish.Deps, error) {
	client, err := s.registry()
	if err != nil {
		return publish.Deps{}, err
	}
	return publish.Deps{
		Registry: client,
		Engine:   func(ctx context.Context) (publish.Engine, error) { return s.engine(ctx) },
		Stdout:   s.app.Out, Host: platform.Local(),
		CNB: cnb, Detail: detail, Observe: observe,
	}, nil
}
