package publish

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// DockerArchive publishes one image as what `docker save` writes,
// docker-archive:FILE[:NAME]. The format holds one platform; more is a
// fault.Usage.
type DockerArchive struct {
	// Out is what FILE "-" means.
	Out io.Writer
	// Observe is told of the progress; nil for nobody.
	Observe Observer
}

// Publish implements Publisher.
func (p *DockerArchive) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: a temporary file beside FILE.
func (p *DockerArchive) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	t, image, err := p.prepare(ctx, a, to)
	if err != nil {
		return nil, err
	}
	names, err := dockerNames(to)
	if err != nil {
		return nil, err
	}
	tags := make([]string, 0, len(names))
	for _, n := range names {
		tags = append(tags, reference.Familiar(n))
	}
	entries, err := dockerSave(ctx, image, tags)
	if err != nil {
		return nil, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	return stageTar(ctx, tarWrite{tree: t, to: to, entries: entries, out: p.Out, observe: p.Observe})
}

// Plan implements Stager.
func (p *DockerArchive) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	t, _, err := p.prepare(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	return planned(t, to)
}

func (p *DockerArchive) prepare(ctx context.Context, a manifest.Artifact, to Target) (*tree, part, error) {
	if to.Ref.Kind != reference.DockerArchive || to.Ref.Path == "" {
		return nil, part{}, fault.New(fault.Usage, "publishing to '%s': it is no docker archive", to.Ref)
	}
	t, err := wholeTree(ctx, a)
	if err != nil {
		return nil, part{}, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	images := t.images()
	if len(images) != 1 {
		_, names := platforms(images)
		err := fault.New(fault.Usage, "publishing to '%s': a docker archive holds one platform, not %d (%s)", to.Ref, len(images), names)
		return nil, part{}, fault.Hint(err, "choose one with --platform, or write oci-archive:%s", to.Ref.Path)
	}
	return t, images[0], nil
}

// dockerNames are the image names that a target gives in an engine or a docker
// archive: the reference's first.
func dockerNames(to Target) ([]name.Reference, error) {
	var out []name.Reference
	for i, ref := range append([]reference.Ref{to.Ref}, to.Tags...) {
		if i == 0 && ref.Name == nil {
			continue
		}
		if _, ok := ref.Name.(name.Tag); !ok {
			return nil, fault.New(fault.Usage, "publishing to '%s': '%s' is no name with a tag", to.Ref, ref)
		}
		out = append(out, ref.Name)
	}
	return out, nil
}
