package commands

import (
	"context"
	"fmt"
	"slices"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// checkAppend refuses --append where nothing can be appended to.
func (d destination) checkAppend(f *packageFlags) error {
	if !f.append {
		return f.onlyWith("--append")
	}
	const doing = "reading the flags: '--append' keeps what is under a tag of a registry or an OCI layout"
	ref, err := parseRef(d.given)
	switch {
	case err == nil && ref.Kind == reference.Registry && d.ref.Kind == reference.Daemon:
		return fault.Hint(fault.New(fault.Usage, "%s, but '%s' goes to the Docker daemon", doing, d.given), "add '--publish'")
	case d.ref.Kind != reference.Registry && d.ref.Kind != reference.Layout:
		return fault.Hint(fault.New(fault.Usage, "%s, but '%s' is neither", doing, d.given),
			"append to a layout, oci-layout://PATH:TAG, and copy that with 'multipack manifest copy'")
	case d.ref.Digest != "":
		return fault.New(fault.Usage, "reading the destination '%s': a digest cannot be appended to, only a tag", d.given)
	case f.noAnnounce && f.suffix:
		return flagFault("'--no-announce' and '--append-image-name-suffix' exclude each other: the tags of single platforms are their announcements")
	}
	return nil
}

// names are the names in a registry that the destination has, each once.
func (d destination) names() []reference.Ref {
	out := []reference.Ref{d.ref}
	for _, ref := range d.tags {
		if !slices.ContainsFunc(out, func(o reference.Ref) bool { return o.Name.Name() == ref.Name.Name() }) {
			out = append(out, ref)
		}
	}
	return out
}

// append keeps what is under the destination's names and puts the images in.
func (p *packaging) append(ctx context.Context, images []buildpack.PlatformImage) error {
	req, err := p.flags.request()
	if err != nil {
		return err
	}
	if req.Annotations, err = manifest.ParseAnnotations(p.flags.indexAnnotations); err != nil {
		return err
	}
	if req.Add, err = additions(images); err != nil {
		return err
	}
	content := make([]manifest.Artifact, len(images))
	for i, img := range images {
		content[i] = img.Image
	}
	detail := p.flags.metadataFile != "" || p.globals.output != ""
	var report publish.Report
	if p.to.ref.Kind == reference.Layout {
		report, err = p.appendToLayout(ctx, content, req)
	} else {
		report, _, err = p.appendPublished(ctx, appendJob{
			refs: p.to.names(), content: content, request: req,
			children: p.childTags(images), dryRun: p.flags.dryRun, detail: detail,
		})
	}
	if err != nil {
		return err
	}
	if err := publish.Save([]publish.Report{report}, p.flags.metadataFile, p.flags.digestFile); err != nil {
		return err
	}
	return p.result(report)
}

// additions are the images as the protocol takes them: with the entries that an
// index of them would have.
func additions(images []buildpack.PlatformImage) ([]announce.Addition, error) {
	out := make([]announce.Addition, len(images))
	for i, img := range images {
		e, err := manifest.NewEntry(img.Descriptor)
		if err != nil {
			return nil, err
		}
		out[i].Entry = e.Raw
		if out[i].Manifest, err = img.Image.RawManifest(); err != nil {
			return nil, err
		}
		if out[i].Config, err = img.Image.RawConfigFile(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// announceable are the additions of a plain publish: those of images that name
// their platform. Where the suffix flag gives each platform a tag, that tag is the
// announcement, and holds just the image.
func (p *packaging) announceable(images []buildpack.PlatformImage) ([]announce.Addition, error) {
	images = slices.DeleteFunc(slices.Clone(images), func(i buildpack.PlatformImage) bool { return i.Target.Platform.Arch == "" })
	if p.flags.suffix {
		for i := range images {
			images[i].Descriptor.Annotations = nil
		}
	}
	return additions(images)
}

// appendToLayout does it under the lock of a layout, where nobody has to announce
// anything.
func (p *packaging) appendToLayout(ctx context.Context, content []manifest.Artifact, req announce.Request) (publish.Report, error) {
	progress := p.console.Progress()
	defer progress.Close()
	var results []announce.Result
	update := publish.Update{Images: content, Change: func(name reference.Ref, current manifest.Artifact) (manifest.Index, error) {
		result, err := unite(ctx, name, current, req)
		if err != nil {
			return manifest.Index{}, err
		}
		results = append(results, result)
		return result.Index, nil
	}}
	layout := &publish.Layout{Observe: observer(progress)}
	write := layout.Update
	if p.flags.dryRun {
		write = layout.PlanUpdate
	}
	report, err := write(ctx, update, publish.Target{Ref: p.to.ref, Tags: p.to.tags})
	progress.Close()
	if err != nil {
		return publish.Report{}, err
	}
	report.Append = appendSummary(results[0])
	for i := range report.Also {
		report.Also[i].Append = appendSummary(results[i+1])
	}
	for _, r := range results {
		for _, n := range r.Notes {
			p.console.Note("%s", n)
		}
	}
	return report, nil
}

// unite is the union of what a name of a layout holds and what is to be added.
func unite(ctx context.Context, name reference.Ref, current manifest.Artifact, req announce.Request) (announce.Result, error) {
	req.Tag = name.String()
	if current == nil {
		return announce.Unite(ctx, nil, nil, req)
	}
	var cur announce.Manifest
	var err error
	if cur.Raw, err = current.RawManifest(); err != nil {
		return announce.Result{}, err
	}
	if cur.MediaType, err = current.MediaType(); err != nil {
		return announce.Result{}, err
	}
	if cur.Digest, err = current.Digest(); err != nil {
		return announce.Result{}, err
	}
	return announce.Unite(ctx, &cur, func() ([]byte, error) {
		img, ok := current.(interface{ RawConfigFile() ([]byte, error) })
		if !ok {
			return nil, fmt.Errorf("reading the config of '%s': it is no image", name)
		}
		return img.RawConfigFile()
	}, req)
}
