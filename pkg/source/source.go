// Package source opens references of every medium as lazy artifacts.
package source

import (
	"context"
	"io"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// Opened is an artifact and where it came from.
type Opened struct {
	// Artifact is a v1.Image or a v1.ImageIndex. It is lazy: layers are read
	// when asked for, under the context that Open was called with.
	Artifact manifest.Artifact
	// Ref is what was opened.
	Ref reference.Ref
	// Origin is the repository for a registry reference, else the zero value.
	// Its layers satisfy *remote.MountableLayer, so that a publisher can mount.
	Origin name.Repository
	// Volatile is set where the source can vanish (daemon, archive, layout), so
	// that whoever keeps the artifact must keep its layers too.
	Volatile bool
	// Platform is set by OpenFor: what the index's entry, else the image's
	// config, says. Its Arch is "" for an image that does not say.
	Platform platform.Platform
	// Close releases files; it may be nil. The artifact must not be used after.
	Close func() error
}

// Done closes o where there is something to close.
func (o Opened) Done() error {
	if o.Close == nil {
		return nil
	}
	return o.Close()
}

// Opener opens one medium, or dispatches to several.
type Opener interface {
	// Open resolves r. Errors: fault.NotFound where it does not exist,
	// fault.Denied for 401/403, fault.Usage where the medium cannot be read.
	// What is opened is what the digest says: content is verified while read.
	Open(ctx context.Context, r reference.Ref) (Opened, error)
}

// Registry opens what a registry holds under a tag or a digest: a v1.Image or
// a v1.ImageIndex. pkg/registry's Client is one.
type Registry interface {
	Open(ctx context.Context, ref name.Reference) (any, error)
}

// Daemon streams images as `docker save` does. internal/daemon's Client is one.
// Where the engine can choose, just the named platforms are in the stream.
type Daemon interface {
	Save(ctx context.Context, name string, platforms ...platform.Platform) (io.ReadCloser, error)
}

// Lists opens lists of the local store; fault.NotFound where there is none of
// that name.
type Lists interface {
	OpenList(ctx context.Context, list name.Tag) (manifest.Artifact, error)
}

// Deps are the effects behind the media. A medium whose field is nil is a
// fault.Usage when it is asked for.
type Deps struct {
	Registry Registry
	// Daemon connects to the engine; it is called for each docker-daemon:
	// reference, never for others.
	Daemon func(ctx context.Context) (Daemon, error)
	Lists  Lists
	// Stdin is what "-" reads; once.
	Stdin io.Reader
	// Gzip compresses the layers of docker archives, which are plain tars. It must
	// give the same bytes for the same content on every machine. With nil they
	// stay plain tars, which every registry and runtime takes too.
	Gzip func(w io.Writer) (io.WriteCloser, error)
}

// New opens references of every medium.
func New(d Deps) Opener { return &dispatcher{d} }

type dispatcher struct{ deps Deps }

// platformOpener is an Opener that can do with less where one platform is
// wanted; what it opens may still hold others.
type platformOpener interface {
	openPlatform(ctx context.Context, r reference.Ref, p platform.Platform) (Opened, error)
}

func (d *dispatcher) Open(ctx context.Context, r reference.Ref) (Opened, error) {
	return d.open(ctx, r)
}

func (d *dispatcher) openPlatform(ctx context.Context, r reference.Ref, p platform.Platform) (Opened, error) {
	return d.open(ctx, r, p)
}

func (d *dispatcher) open(ctx context.Context, r reference.Ref, want ...platform.Platform) (Opened, error) {
	var a manifest.Artifact
	var done func() error
	var err error
	out := Opened{Ref: r, Volatile: true}
	switch r.Kind {
	case reference.Registry:
		out.Origin, out.Volatile = r.Name.Context(), false
		a, err = d.openRegistry(ctx, r)
	case reference.Daemon:
		a, done, err = d.openDaemon(ctx, r, want)
	case reference.Layout, reference.Archive:
		a, done, err = openLayout(ctx, r)
	case reference.DockerArchive, reference.File:
		a, done, err = d.openFile(ctx, r)
	case reference.Stdio:
		a, done, err = d.openStdin(ctx, r)
	case reference.Local:
		a, err = d.openList(ctx, r)
	default:
		err = unreadable(r)
	}
	if err != nil {
		return Opened{}, err
	}
	out.Artifact, out.Close = a, done
	return out, nil
}

func (d *dispatcher) openRegistry(ctx context.Context, r reference.Ref) (manifest.Artifact, error) {
	if d.deps.Registry == nil {
		return nil, unreadable(r)
	}
	v, err := d.deps.Registry.Open(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	a, ok := v.(manifest.Artifact)
	if !ok {
		return nil, fault.New(fault.Failed, "opening '%s': it is neither an image nor an index", r)
	}
	return a, nil
}

func (d *dispatcher) openList(ctx context.Context, r reference.Ref) (manifest.Artifact, error) {
	tag, ok := r.Name.(name.Tag)
	if d.deps.Lists == nil || !ok {
		return nil, unreadable(r)
	}
	return d.deps.Lists.OpenList(ctx, tag)
}

func unreadable(r reference.Ref) error {
	return fault.New(fault.Usage, "opening '%s': a %s cannot be read here", r, r.Kind)
}
