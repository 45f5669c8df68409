package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
)

// appendJob is an append to tags of registries that other jobs may write at the
// same time.
type appendJob struct {
	// refs are the tags, each a run of the protocol of its own.
	refs []reference.Ref
	// content is what the additions point at.
	content []manifest.Artifact
	// request is what all tags get; its Tag is open.
	request announce.Request
	// children are further tags for single images, in the repository of refs[0].
	children []publish.ChildTag
	dryRun   bool
	// detail has the reports say what is below manifests that are there.
	detail bool
}

// appendPublished checks what can be checked, pushes the content by digest to
// every repository, and then appends to one tag after the other.
func (s *session) appendPublished(ctx context.Context, job appendJob) (publish.Report, []announce.Result, error) {
	client, err := s.registry()
	if err != nil {
		return publish.Report{}, nil, err
	}
	pending := make([]*announce.Pending, len(job.refs))
	for i, ref := range job.refs {
		if pending[i], err = announce.Begin(ctx, s.tagsOf(client, ref, job.dryRun), s.requestFor(ref, job.request)); err != nil {
			return publish.Report{}, nil, err
		}
	}
	parts, err := s.pushContent(ctx, job)
	if err != nil {
		return publish.Report{}, nil, err
	}
	if err := job.tagChildren(ctx, client); err != nil {
		return publish.Report{}, nil, err
	}
	var out publish.Report
	var done []string
	results := make([]announce.Result, len(job.refs))
	for i, ref := range job.refs {
		result, err := pending[i].Append(ctx)
		if err != nil {
			return publish.Report{}, nil, after(done, err)
		}
		results[i] = result
		done = append(done, reference.Canonical(ref.Name))
		s.noteResult(ref, result, job.dryRun)
		report, err := appendReport(ref, result, parts[i], job.dryRun)
		if err != nil {
			return publish.Report{}, nil, err
		}
		if i == 0 {
			out = report
			out.ChildTags = job.childTags()
		} else {
			out.Also = append(out.Also, report)
		}
	}
	return out, results, nil
}

// tagsOf is the repository of ref as the protocol sees it.
func (s *session) tagsOf(client *registry.Client, ref reference.Ref, dryRun bool) announce.Registry {
	repo := announce.Repository(client, ref.Name.Context())
	if dryRun {
		return announce.Rehearse(repo)
	}
	return repo
}

func (s *session) requestFor(ref reference.Ref, req announce.Request) announce.Request {
	req.Tag, req.Prefix, req.Jobs = ref.Name.Identifier(), ref.Display()+":", s.requests()
	return req
}

func after(done []string, err error) error {
	if len(done) == 0 {
		return err
	}
	return fmt.Errorf("%w (written already: '%s')", err, strings.Join(done, "', '"))
}

// pushContent pushes the content by digest to the repositories of all tags: to
// those of one registry one after the other, so that the later ones mount it.
// Slot i are the reports for ref i.
func (s *session) pushContent(ctx context.Context, job appendJob) ([][]publish.Report, error) {
	progress := s.console.Progress()
	defer progress.Close()
	publisher, err := s.publisher(publish.CNB{}, job.detail, observer(progress))
	if err != nil {
		return nil, err
	}
	write := publisher.PublishAll
	if job.dryRun {
		write = publisher.PlanAll
	}
	var targets []publish.Target
	at := make([]int, len(job.refs)) // where the target of each ref is
	for i, ref := range job.refs {
		repo := ref.Name.Context().Name()
		if at[i] = slices.IndexFunc(targets, func(t publish.Target) bool { return t.Ref.Name.Context().Name() == repo }); at[i] < 0 {
			at[i] = len(targets)
			targets = append(targets, publish.Target{Ref: ref, NoTag: true})
		}
	}
	byImage := make([][]publish.Report, len(job.content))
	errs := make([]error, len(job.content))
	var group errgroup.Group
	group.SetLimit(s.requests())
	for n, a := range job.content {
		group.Go(func() error {
			byImage[n], errs[n] = write(ctx, a, targets)
			return nil
		})
	}
	_ = group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	progress.Close()
	for _, reports := range byImage {
		for _, r := range reports {
			s.plan(r)
		}
	}
	out := make([][]publish.Report, len(job.refs))
	for i := range job.refs {
		for n := range job.content {
			out[i] = append(out[i], byImage[n][at[i]])
		}
	}
	return out, nil
}

// tagChildren writes the tags of single images that are no announcements.
func (job appendJob) tagChildren(ctx context.Context, client *registry.Client) error {
	if job.dryRun {
		return nil
	}
	p := &publish.Registry{Client: client}
	for _, c := range job.children {
		if job.announces(c.Tag) {
			continue
		}
		i := slices.IndexFunc(job.content, func(a manifest.Artifact) bool {
			d, err := a.Digest()
			return err == nil && d == c.Digest
		})
		if err := p.Tag(ctx, job.refs[0].Name.Context().Tag(c.Tag), job.content[i]); err != nil {
			return err
		}
	}
	return nil
}

// announces reports whether an addition to refs[0] is announced under the tag.
func (job appendJob) announces(tag string) bool {
	return slices.ContainsFunc(job.request.Add, func(a announce.Addition) bool {
		e, err := manifest.ParseEntry(a.Entry)
		if err != nil {
			return false
		}
		name, err := announce.Tag(job.refs[0].Name.Identifier(), e.Platform)
		return err == nil && name == tag
	})
}

func (job appendJob) childTags() []string {
	var out []string
	for _, c := range job.children {
		out = append(out, reference.Canonical(job.refs[0].Name.Context().Tag(c.Tag)))
	}
	return out
}

// noteResult tells what the user should know of an append.
func (s *session) noteResult(ref reference.Ref, result announce.Result, dryRun bool) {
	announced, withdrawn, tagged := "Announced as '%s'", "Withdrawn as '%s'", "Tagged '%s'"
	if dryRun {
		announced, withdrawn, tagged = "Would be announced as '%s'", "Would be withdrawn as '%s'", "Would tag '%s'"
	}
	for _, tag := range result.Announced {
		s.console.Note(announced, reference.Canonical(ref.Name.Context().Tag(tag)))
	}
	for _, tag := range result.Withdrawn {
		s.console.Note(withdrawn, reference.Canonical(ref.Name.Context().Tag(tag)))
	}
	if result.Writes > 0 {
		s.console.Note(tagged, reference.Canonical(ref.Name))
	}
	for _, n := range result.Notes {
		s.console.Note("%s", n)
	}
}

// appendReport describes one tag after an append.
func appendReport(ref reference.Ref, result announce.Result, parts []publish.Report, dryRun bool) (publish.Report, error) {
	r := publish.Report{
		Name: ref.Display() + "@" + result.Digest.String(), Digest: result.Digest, MediaType: string(result.MediaType),
		Size: int64(len(result.Raw)), Action: publish.Exists, Images: []publish.ImageEntry{},
	}
	if result.MediaType.IsIndex() { // a settle may find a plain image, and leave it
		var err error
		if r, err = publish.Joined(ref.Display(), result.Index, parts); err != nil {
			return publish.Report{}, err
		}
	}
	r.Tags, r.DryRun, r.Append = []string{reference.Canonical(ref.Name)}, dryRun, appendSummary(result)
	switch {
	case result.Writes > 0 && dryRun:
		r.Action = publish.Planned
	case result.Writes > 0:
		r.Action = publish.Uploaded
	}
	return r, nil
}

func appendSummary(result announce.Result) *publish.Append {
	out := &publish.Append{
		Platforms: spelled(result.Platforms), Announced: result.Announced, Withdrawn: result.Withdrawn, Missing: spelled(result.Missing),
		Rounds: result.Rounds, Writes: result.Writes,
	}
	for _, a := range result.Collected {
		out.Collected = append(out.Collected, publish.Collected{Tag: a.Tag, Platform: a.PlatformName, Digest: a.Digest, Withdrawn: a.Withdrawn})
	}
	return out
}

func spelled(list []platform.Platform) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out
}
