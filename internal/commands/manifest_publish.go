package commands

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
)

// changePublished makes the change on the tag in the registry, where other jobs
// may be at work: it looks at what the tag has or is about to have, works out
// what the change adds and takes away, and appends that.
func (s *session) changePublished(ctx context.Context, job listJob) error {
	ref := reference.Ref{Kind: reference.Registry, Name: job.tag, Given: job.given}
	client, err := s.registry()
	if err != nil {
		return err
	}
	req, err := job.appendFlags.request()
	if err != nil {
		return err
	}
	start := job.fresh
	if !job.create {
		if req.Seen, err = s.published(ctx, client, ref, job, req); err != nil {
			return err
		}
		start = req.Seen.Index
	}
	result, err := job.change(start, s.publishedContext(ctx, client, ref))
	if err != nil {
		return err
	}
	if job.create {
		start, req.New = manifest.New(job.fresh.MediaType()), !job.replace
	}
	req = req.Change(start, result.index, digestsOf(job.items)...)
	if err := withBytes(req.Add, job.items); err != nil {
		return err
	}
	if job.create && job.replace {
		err = s.replacePublished(ctx, ref, job, req, result.index)
	} else {
		result, err = s.appendChange(ctx, ref, job, req, result)
	}
	if err != nil {
		return err
	}
	job.success = append(job.success, fmt.Sprintf("Successfully pushed manifest list '%s' to registry", job.given))
	return s.changed(job, result)
}

// published is what a change starts from.
func (s *session) published(ctx context.Context, client *registry.Client, ref reference.Ref, job listJob, req announce.Request) (*announce.View, error) {
	view, err := announce.Look(ctx, announce.Repository(client, ref.Name.Context()), s.requestFor(ref, req))
	if err != nil || view.Found {
		return view, err
	}
	if len(job.refs) > 0 { // something is to be added
		view.Index = manifest.New(types.OCIImageIndex)
		return view, nil
	}
	return nil, fault.New(fault.NotFound, "changing '%s' in its registry: there is no such tag", reference.Canonical(ref.Name))
}

// publishedContext answers from the registry.
func (s *session) publishedContext(ctx context.Context, client *registry.Client, ref reference.Ref) listContext {
	return listContext{declared: func(h v1.Hash) (platform.Platform, error) {
		a, err := client.Open(ctx, ref.Name.Context().Digest(h.String()))
		if err != nil {
			return platform.Platform{}, err
		}
		artifact, ok := a.(manifest.Artifact)
		if !ok {
			return platform.Platform{}, nil
		}
		return gather.Declared(artifact)
	}}
}

// appendChange appends, and gives the index as it was read back.
func (s *session) appendChange(ctx context.Context, ref reference.Ref, job listJob, req announce.Request, result listChange) (listChange, error) {
	appended := appendJob{refs: []reference.Ref{ref}, request: req, dryRun: job.dryRun}
	for _, i := range job.items {
		appended.content = append(appended.content, i.Artifact)
	}
	report, results, err := s.appendPublished(ctx, appended)
	if errors.Is(err, announce.ErrExists) {
		err = fault.Hint(err, "use --replace to start it afresh, or 'multipack manifest add %s SOURCE --publish' to add to it", reference.Canonical(ref.Name))
	}
	if err != nil {
		return listChange{}, err
	}
	result.append, result.index = report.Append, results[0].Index
	return result, nil
}

// replacePublished starts the tag afresh, as a plain publish does.
func (s *session) replacePublished(ctx context.Context, ref reference.Ref, job listJob, req announce.Request, idx manifest.Index) error {
	content := children{}
	for _, i := range job.items {
		content[i.Entry.Descriptor.Digest] = i.Artifact
	}
	bound, err := manifest.Bind(idx, content)
	if err != nil {
		return err
	}
	target := publish.Target{Ref: ref}
	begin := afresh{session: s, target: target, add: req.Add, dryRun: job.dryRun}
	progress := s.console.Progress()
	defer progress.Close()
	publisher, err := s.publisher(publish.CNB{}, false, observer(progress))
	if err != nil {
		return err
	}
	before := begin.start
	if job.noAnnounce {
		before = func(context.Context) error { return nil }
	}
	if !job.dryRun {
		_, err = (&publish.BeforeTags{Next: publisher, Do: before}).Publish(ctx, bound, target)
		return err
	}
	report, err := publisher.Plan(ctx, bound, target)
	if err != nil {
		return err
	}
	s.plan(report)
	return before(ctx)
}

func digestsOf(items []gather.Item) []v1.Hash {
	out := make([]v1.Hash, len(items))
	for i, item := range items {
		out[i] = item.Entry.Descriptor.Digest
	}
	return out
}

// withBytes gives the additions the manifests and configs that are at hand.
func withBytes(add []announce.Addition, items []gather.Item) error {
	for n := range add {
		e, err := manifest.ParseEntry(add[n].Entry)
		if err != nil {
			return err
		}
		for _, i := range items {
			if i.Entry.Descriptor.Digest != e.Descriptor.Digest {
				continue
			}
			if add[n].Manifest, err = i.Artifact.RawManifest(); err != nil {
				return err
			}
			if img, ok := i.Artifact.(v1.Image); ok {
				if add[n].Config, err = img.RawConfigFile(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
