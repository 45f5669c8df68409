package commands

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// addFlags are the flags of `manifest add`.
type addFlags struct {
	sourceFlags
	entryFlags
	publishFlags
	dryRun bool
}

func newManifestAdd(s *session) *cobra.Command {
	var flags addFlags
	cmd := &cobra.Command{
		Use:   "add LIST SOURCE…",
		Short: "Add images from anywhere to a manifest list",
		Long: `Add images to a manifest list: of registries, the Docker daemon, layouts, archives, .cnb files or other lists (local:NAME).

Of an index all entries are added, with the attestations of their images; --platform takes some of them.
An image that the list has is no change. A platform that another image has is an error, unless --replace lets the new one take its place.
--publish adds to the tag in the registry instead. Any number of jobs may do that at once on one tag: none is lost.`,
		Example: `  multipack manifest add ghcr.io/acme/app:1 ghcr.io/acme/app:1-riscv64
  multipack manifest add app:1 oci-archive:app.tar --platform linux/arm64 --replace
  multipack manifest add app:1 docker-daemon:app:win --os windows --os-version 10.0.20348.1970
  multipack manifest add ghcr.io/acme/app:1 ghcr.io/acme/app:build-arm64 --publish`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.checkPublish(given[0]); err != nil {
				return err
			}
			return s.addToList(cmd.Context(), given[0], given[1:], flags, flags.change(cmd.Flags()))
		},
	}
	f := cmd.Flags()
	flags.sourceFlags.register(f, "let an image take the place of the one that has its platform")
	flags.entryFlags.register(cmd)
	flags.publishFlags.register(f)
	f.BoolVar(&flags.dryRun, "dry-run", false, "do everything but write; print the digest that the real run gives")
	return cmd
}

func (s *session) addToList(ctx context.Context, given string, sources []string, flags addFlags, change platform.Change) error {
	tag, err := listName(given)
	if err != nil {
		return err
	}
	options, err := flags.options()
	if err != nil {
		return err
	}
	annotations, err := manifest.ParseAnnotations(flags.annotations)
	if err != nil {
		return err
	}
	refs, err := parseRefs(sources)
	if err != nil {
		return err
	}
	s.trustNames(flags.insecure, tag, refs)
	if !flags.publish {
		if _, err := s.existing(ctx, []string{given}); err != nil {
			return err
		}
	}
	items, err := s.gather(ctx, refs, options)
	if err != nil {
		return err
	}
	if err := editItems(items, change, annotations); err != nil {
		return err
	}
	add := adding(refs, items, flags.replace)
	job := listJob{
		publishFlags: flags.publishFlags, dryRun: flags.dryRun, tag: tag, given: given, refs: refs, items: items,
		change: func(idx manifest.Index, have listContext) (listChange, error) {
			out, err := add(idx, have)
			if err != nil {
				return out, fmt.Errorf("adding to manifest list '%s': %w", given, err)
			}
			return out, nil
		},
	}
	for n, ref := range refs {
		job.success = append(job.success, s.addedLine(ref, n, items))
	}
	return s.runList(ctx, job)
}

// addedLine says that a source was added, in pack's words.
func (s *session) addedLine(ref reference.Ref, n int, items []gather.Item) string {
	for _, i := range items {
		if i.Source == n {
			return fmt.Sprintf("Successfully added image '%s' to index", ref)
		}
	}
	return fmt.Sprintf("'%s' holds nothing to add", ref)
}

// editItems sets the platform of the one image among items, and annotates all
// images; attestations stay as they are.
func editItems(items []gather.Item, change platform.Change, annotations []manifest.Annotation) error {
	var images []int
	for n, i := range items {
		if !i.Entry.IsAttestation {
			images = append(images, n)
		}
	}
	if !change.IsZero() && len(images) != 1 {
		return flagFault("'--os', '--arch' and their like are about one image, but %d would be added", len(images))
	}
	for _, n := range images {
		edit, err := entryEdit(items[n].Entry, items[n].Declared, change, annotations)
		if err != nil {
			return err
		}
		if items[n].Entry, err = items[n].Entry.Edit(edit); err != nil {
			return err
		}
	}
	return nil
}

// entryEdit is the change of one entry. Where the entry says no platform, that
// of the image's config is what changes.
func entryEdit(e manifest.Entry, declared platform.Platform, change platform.Change, annotations []manifest.Annotation) (func(v1.Descriptor) v1.Descriptor, error) {
	p := platform.FromV1(e.Descriptor.Platform)
	if p.IsZero() {
		p = declared
	}
	if !change.IsZero() {
		var err error
		if p, err = p.With(change); err != nil {
			return nil, err
		}
	}
	return func(d v1.Descriptor) v1.Descriptor {
		if !change.IsZero() {
			said := p.V1()
			if d.Platform != nil {
				said.Features = d.Platform.Features
			}
			d.Platform = said
		}
		if len(annotations) > 0 {
			d.Annotations = manifest.Apply(d.Annotations, annotations)
		}
		return d
	}, nil
}
