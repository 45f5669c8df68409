package publish

import (
	"context"
	"io"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
)

// Deps are what the publishers of the single media need.
type Deps struct {
	Registry *registry.Client
	// Engine connects to the Docker engine when one is written to.
	Engine func(ctx context.Context) (Engine, error)
	// Stdout is what "-" means.
	Stdout io.Writer
	// Host is the platform that comes first in archives for `docker load`.
	Host platform.Platform
	// CNB says how files that end in .cnb are written; its Observe is Deps'.
	CNB CNB
	// Detail is Registry's.
	Detail bool
	// Mend is Registry's.
	Mend bool
	// Observe is told of the progress of all media.
	Observe Observer
}

// New is the publisher for every writable medium, also for several
// destinations at once.
func New(d Deps) *Multi { return &Multi{Next: &dispatcher{deps: d}} }

// dispatcher finds the publisher for a reference's kind.
type dispatcher struct{ deps Deps }

func (d *dispatcher) to(ref reference.Ref) (Stager, error) {
	o := d.deps.Observe
	switch ref.Kind {
	case reference.Registry:
		return &Registry{Client: d.deps.Registry, Observe: o, Detail: d.deps.Detail, Mend: d.deps.Mend}, nil
	case reference.Daemon:
		return &Daemon{Engine: d.deps.Engine, Observe: o}, nil
	case reference.Layout:
		return &Layout{Observe: o}, nil
	case reference.DockerArchive:
		return &DockerArchive{Out: d.deps.Stdout, Observe: o}, nil
	case reference.File:
		if strings.HasSuffix(ref.Path, cnbExtension) || ref.Path == "-" {
			return &CNB{Out: d.deps.Stdout, Single: d.deps.CNB.Single, Name: d.deps.CNB.Name, Observe: o}, nil
		}
		return d.archive(), nil
	case reference.Archive, reference.Stdio:
		return d.archive(), nil
	}
	return nil, fault.New(fault.Usage, "publishing to '%s': a %s cannot be written to in this way", ref, ref.Kind)
}

func (d *dispatcher) archive() *Archive {
	return &Archive{Out: d.deps.Stdout, DockerLoad: true, Host: d.deps.Host, Observe: d.deps.Observe}
}

// Publish implements Publisher.
func (d *dispatcher) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := d.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager.
func (d *dispatcher) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	next, err := d.to(to.Ref)
	if err != nil {
		return nil, err
	}
	return next.Stage(ctx, a, to)
}

// Plan implements Stager.
func (d *dispatcher) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	next, err := d.to(to.Ref)
	if err != nil {
		return Report{}, err
	}
	return next.Plan(ctx, a, to)
}
