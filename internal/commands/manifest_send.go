package commands

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// sendFlags are those of the commands that write an artifact to destinations.
type sendFlags struct {
	pickFlags
	tags                     []string
	insecure, dryRun         bool
	metadataFile, digestFile string
}

func (f *sendFlags) register(fl *pflag.FlagSet) {
	f.pickFlags.register(fl)
	fl.StringArrayVar(&f.tags, "tag", nil, "further `name`: a tag for each destination, or a full name (repeatable)")
	fl.BoolVar(&f.insecure, "insecure", false, "the destinations' registries may use plain HTTP or an unverified certificate")
	fl.BoolVar(&f.dryRun, "dry-run", false, "do everything but write; print the digest that the real run gives and what it would write")
	fl.StringVar(&f.metadataFile, "metadata-file", "", "write a JSON `file` that says what was written and what happened to each blob")
	fl.StringVar(&f.digestFile, "digestfile", "", "write the digest to `file`")
}

// pickFlags choose a part of an index.
type pickFlags struct {
	platforms []string
	asIndex   bool
}

func (f *pickFlags) register(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.platforms, "platform", nil, "take these `platforms` only, os/arch[/variant][:osversion], linux/*, local or all, or entries by digest; each has to be there (repeatable)")
	fl.BoolVar(&f.asIndex, "as-index", false, "keep an index round the image of a single platform")
}

// pick is the part of what was found that the flags ask for, and says so.
func (s *session) pick(f found, flags pickFlags) (manifest.Artifact, error) {
	picked, err := pickQuietly(f, flags)
	if err != nil {
		return nil, err
	}
	return picked, s.sayPicked(f, picked)
}

func pickQuietly(f found, flags pickFlags) (manifest.Artifact, error) {
	wanted, err := manifest.ParseWanted(flags.platforms, platform.Local())
	if err != nil {
		return nil, err
	}
	return manifest.Pick(f.artifact, wanted, manifest.PickOptions{AsIndex: flags.asIndex, Origins: f.origins()})
}

// sayPicked tells of a digest that is not the one of what was found.
func (s *session) sayPicked(f found, picked manifest.Artifact) error {
	before, err := f.artifact.Digest()
	if err != nil {
		return err
	}
	after, err := picked.Digest()
	if err != nil || before == after {
		return err
	}
	mt, err := picked.MediaType()
	if err != nil {
		return err
	}
	if mt.IsIndex() {
		s.console.Note("Chose a part of '%s': the index of it has another digest, '%s' instead of '%s'", f.given, after, before)
	} else {
		s.console.Note("Chose the image '%s' of '%s'", after, f.given)
	}
	return nil
}

// targets reads the destinations.
func (s *session) targets(given []string, f sendFlags) ([]publish.Target, error) {
	var out []publish.Target
	stdout := 0
	for _, g := range given {
		ref, err := parseRef(g)
		if err != nil {
			return nil, err
		}
		t, err := s.target(ref, g, f)
		if err != nil {
			return nil, err
		}
		if ref.Kind == reference.Stdio {
			stdout++
		}
		out = append(out, t)
	}
	if stdout > 1 {
		return nil, fault.New(fault.Usage, "reading the arguments: standard output, '-', can be only one of the destinations")
	}
	if stdout > 0 && !f.dryRun {
		return out, s.yieldStdout()
	}
	return out, nil
}

func (s *session) target(ref reference.Ref, given string, f sendFlags) (publish.Target, error) {
	if ref.Kind == reference.Local {
		return publish.Target{}, fault.Hint(fault.New(fault.Usage, "reading the destination '%s': a list of the store is made, not written to", given),
			"run 'multipack manifest create %s SOURCE'", strings.TrimPrefix(given, "local:"))
	}
	t := publish.Target{Ref: ref}
	for _, tag := range f.tags {
		r, err := furtherName(ref, given, tag)
		if err != nil {
			return publish.Target{}, err
		}
		t.Tags = append(t.Tags, r)
	}
	s.trust(f.insecure, append([]reference.Ref{ref}, t.Tags...)...)
	return t, nil
}

// furtherName reads a --tag for one destination.
func furtherName(ref reference.Ref, given, tag string) (reference.Ref, error) {
	switch ref.Kind {
	case reference.Layout, reference.Archive:
		return ref.WithTag(tag), nil
	case reference.File, reference.Stdio:
		return ref, flagFault("'--tag' has no meaning for '%s', which has no names", given)
	case reference.DockerArchive:
		n, err := reference.ParseName(tag)
		ref.Name = n
		return ref, err
	}
	return destination{ref: ref, given: given}.tag(tag)
}

// send writes an artifact to all targets, or says what it would write. All
// content is everywhere before any name changes. What is not to be had any more
// is found out before the first write; several destinations, which are filled
// at once, would find it out one by one.
func (s *session) send(ctx context.Context, from found, a manifest.Artifact, targets []publish.Target, f sendFlags) ([]publish.Report, error) {
	if from.list != nil && len(targets) > 1 {
		if err := s.complete(ctx, from, a, targets); err != nil {
			return nil, err
		}
	}
	reports, err := s.write(ctx, a, targets, f)
	if err != nil {
		return nil, s.nowhere(ctx, from, a, targets, err)
	}
	return reports, publish.Save(reports, f.metadataFile, f.digestFile)
}

func (s *session) write(ctx context.Context, a manifest.Artifact, targets []publish.Target, f sendFlags) ([]publish.Report, error) {
	progress := s.console.Progress()
	defer progress.Close()
	detail := f.metadataFile != "" || s.globals.output != ""
	publisher, err := s.publisher(publish.CNB{Single: true}, detail, observer(progress))
	if err != nil {
		return nil, err
	}
	if f.dryRun {
		return publisher.PlanAll(ctx, a, targets)
	}
	return publisher.PublishAll(ctx, a, targets)
}

// sent shows what was written.
func (s *session) sent(reports []publish.Report) error {
	if s.globals.output == ui.JSON {
		first := reports[0]
		first.Also = append(first.Also, reports[1:]...)
		return s.console.Document(ui.JSON, first)
	}
	for _, r := range reports {
		s.plan(r)
		for _, line := range lines(r) {
			s.console.Result(line)
		}
	}
	return nil
}

// plan says what a real run would write.
func (s *session) plan(r publish.Report) {
	if !r.DryRun {
		return
	}
	to, _, _ := strings.Cut(r.Name, "@")
	would := map[publish.Action]string{publish.Mounted: "mount %s '%s' (%s) in '%s'", publish.Planned: "upload %s '%s' (%s) to '%s'"}
	said := map[string]bool{}
	say := func(a publish.Action, what string, h v1.Hash, size int64) {
		if would[a] != "" && !said[h.Hex] {
			said[h.Hex] = true
			s.console.Note("Would "+would[a], what, h, ui.Size(size), to)
		}
	}
	for _, img := range r.Images {
		for _, l := range img.Layers {
			say(l.Action, "layer", l.Digest, l.Size)
		}
		say(img.ConfigAction, "config", img.Config, img.ConfigSize)
		say(img.Action, "manifest", img.Manifest, img.Size)
	}
	say(r.Action, "index", r.Digest, r.Size)
	for _, t := range r.Tags {
		s.console.Note("Would tag '%s'", t)
	}
}

// whereTo names a destination in a sentence.
func whereTo(ref reference.Ref) string {
	if ref.Kind == reference.Stdio || ref.Path == "-" {
		return "standard output"
	}
	return "'" + ref.Given + "'"
}
