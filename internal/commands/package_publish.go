package commands

import (
	"context"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// publish puts the images where they belong and says what was written.
func (p *packaging) publish(ctx context.Context, images []buildpack.PlatformImage) error {
	artifact, err := p.artifact(images)
	if err != nil {
		return err
	}
	p.trust(p.flags.insecure, p.to.ref)
	target := publish.Target{Ref: p.to.ref, Tags: p.to.tags}
	if len(images) > 1 {
		target.ChildTags = p.childTags(images)
	}
	progress := p.console.Progress()
	defer progress.Close()
	publisher, err := p.publisher(p.cnb(images), p.flags.metadataFile != "" || p.globals.output != "", stepObserver(progress, platformSteps(images)))
	if err != nil {
		return err
	}
	add, err := p.announceable(images)
	if err != nil {
		return err
	}
	afresh := afresh{session: p.session, target: target, add: add, dryRun: p.flags.dryRun}
	record := &publish.Record{Next: &publish.BeforeTags{Next: publisher, Do: afresh.start}}
	if p.flags.dryRun {
		record.Next = &publish.DryRun{Next: publisher}
	}
	report, err := record.Publish(ctx, artifact, target)
	progress.Close()
	if err == nil && p.flags.dryRun {
		err = afresh.start(ctx)
	}
	if err != nil {
		return err
	}
	if err := record.Save(p.flags.metadataFile, p.flags.digestFile); err != nil {
		return err
	}
	return p.result(report)
}

// artifact is the one platform's image, or the index of several.
func (p *packaging) artifact(images []buildpack.PlatformImage) (manifest.Artifact, error) {
	annotations, err := manifest.ParseAnnotations(p.flags.indexAnnotations)
	if err != nil {
		return nil, err
	}
	if len(images) == 1 && len(annotations) == 0 {
		return images[0].Image, nil
	}
	index := manifest.New(types.OCIImageIndex)
	children := children{}
	for _, img := range images {
		if index, err = index.Add(img.Descriptor); err != nil {
			return nil, twins(images, err)
		}
		children[img.Descriptor.Digest] = img.Image
	}
	return manifest.Bind(index.Annotate(annotations...), children)
}

// twins says which targets cannot stand side by side in one index, where that is
// why it could not be made.
func twins(images []buildpack.PlatformImage, err error) error {
	seen := map[platform.Platform]platform.Target{}
	for _, img := range images {
		key := img.Target.Platform.Normalize()
		if other, ok := seen[key]; ok {
			return fault.New(fault.Usage, "joining the platforms: '%s' and '%s' are one platform, '%s': an index has the version of a distribution, and not its name",
				other, img.Target, key)
		}
		seen[key] = img.Target
	}
	return fault.New(fault.Usage, "joining the platforms: %w", err)
}

// children are the images of an index that is being made.
type children map[v1.Hash]manifest.Artifact

// Child implements manifest.Children.
func (c children) Child(h v1.Hash) (manifest.Artifact, error) {
	if a, ok := c[h]; ok {
		return a, nil
	}
	return nil, fault.New(fault.NotFound, "reading '%s': no such image", h)
}

// cnb names the files of -f file: those of several distributions differ in
// their distribution's name and version.
func (p *packaging) cnb(images []buildpack.PlatformImage) publish.CNB {
	names := map[platform.Platform]string{}
	for _, img := range images {
		names[img.Target.Platform.Normalize()] = img.Target.Suffix()
	}
	return publish.CNB{Single: p.flags.singleFile, Name: func(stem string, of platform.Platform) string {
		return stem + "-" + orDefault(names[of.Normalize()], of.Suffix()) + ".cnb"
	}}
}

// childTags are the tags of --append-image-name-suffix.
func (p *packaging) childTags(images []buildpack.PlatformImage) []publish.ChildTag {
	if !p.flags.suffix || p.to.ref.Kind != reference.Registry {
		return nil
	}
	out := make([]publish.ChildTag, len(images))
	for i, img := range images {
		out[i] = publish.ChildTag{Digest: img.Descriptor.Digest, Tag: suffixed(p.to.ref.Name.Identifier(), img.Target)}
	}
	return out
}

// suffixed is pack's --append-image-name-suffix: the tag with the platform
// behind it; "latest" gives way to it.
func suffixed(tag string, t platform.Target) string {
	if tag == "latest" {
		return t.Suffix()
	}
	return tag + "-" + t.Suffix()
}

// result prints what was written: a line for each thing, or the report.
func (p *packaging) result(report publish.Report) error {
	p.compression.end()
	if p.globals.output == ui.JSON {
		if err := p.console.Document(ui.JSON, report); err != nil {
			return err
		}
	} else {
		for _, line := range lines(report) {
			p.console.Result(line)
		}
	}
	switch {
	case p.flags.dryRun:
		p.console.Success("Dry run: nothing was written")
	case p.to.ref.Kind == reference.Registry:
		p.console.Success("Successfully published package '%s' and saved to %s", p.to.given, p.to.saved())
	case p.to.ref.Kind == reference.File:
		for _, path := range files(report) {
			p.console.Success("Successfully created package '%s' and saved to %s", path, p.to.saved())
		}
	default:
		p.console.Success("Successfully created package '%s' and saved to %s", p.to.given, p.to.saved())
	}
	return nil
}

// files are the paths that a report names, each once.
func files(r publish.Report) []string {
	var out []string
	for _, img := range r.Images {
		if img.Path != "" && !slices.Contains(out, img.Path) {
			out = append(out, img.Path)
		}
	}
	return out
}

// lines are the NAME@sha256:… lines of a report: one for each file, else one
// for each destination. Several tags of a repository may have the same index.
func lines(report publish.Report) []string {
	var out []string
	for _, r := range report.All() {
		if len(files(r)) < 2 {
			if !slices.Contains(out, r.Name) {
				out = append(out, r.Name)
			}
			continue
		}
		for _, img := range r.Images {
			if img.Path != "" {
				out = append(out, img.Path+"@"+img.Manifest.String())
			}
		}
	}
	return out
}
