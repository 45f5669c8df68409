package commands

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// annotateFlags are the flags of `manifest annotate`.
type annotateFlags struct {
	entryFlags
	indexFlags
	publishFlags
	index  bool
	dryRun bool
}

func newManifestAnnotate(s *session) *cobra.Command {
	var flags annotateFlags
	cmd := &cobra.Command{
		Use:   "annotate LIST SELECTOR | annotate LIST --index",
		Short: "Edit an entry of a manifest list, or the index itself",
		Long: `Edit an entry of a manifest list: its platform and its annotations. With --index: the index's own annotations, artifact type and subject.

SELECTOR is the entry's platform, its digest or the first 8 or more digits of it, or the reference that it was added from.
The entry keeps its place, and everything that is not edited keeps its bytes. No network is needed, but to look up --subject, and with --publish, which edits what the tag in the registry has.
An empty value takes a variant, a version, the features, an artifact type or a subject away.`,
		Example: `  multipack manifest annotate app:1 ghcr.io/acme/app:1-arm --arch arm --variant v6
  multipack manifest annotate app:1 linux/arm64 --annotation org.opencontainers.image.revision=abc --annotation draft-
  multipack manifest annotate app:1 --index --annotation org.opencontainers.image.version=1.2.0
  multipack manifest annotate ghcr.io/acme/app:1 linux/arm64 --annotation tested=yes --publish`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.checkPublish(given[0]); err != nil {
				return err
			}
			a := annotating{session: s, flags: flags, change: flags.change(cmd.Flags())}
			a.setType, a.setSubject = cmd.Flags().Changed("artifact-type"), cmd.Flags().Changed("subject")
			if flags.index {
				return a.annotateIndex(cmd.Context(), given)
			}
			return a.annotateEntry(cmd.Context(), given)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.index, "index", false, "edit the index itself instead of an entry")
	flags.platformFlags.register(f)
	annotationFlags(f, &flags.annotations, "annotation of the entry, or with --index of the index")
	flags.indexFlags.register(f)
	flags.publishFlags.register(f)
	f.BoolVar(&flags.dryRun, "dry-run", false, "write nothing; print the digest that the real run gives")
	return cmd
}

// annotating is one run of `manifest annotate`.
type annotating struct {
	*session
	flags               annotateFlags
	change              platform.Change
	setType, setSubject bool
}

func (a *annotating) annotateEntry(ctx context.Context, given []string) error {
	switch {
	case len(given) < 2:
		return fault.Hint(flagFault("an entry has to be named"), "name it by platform, digest or reference, or use '--index' for the index itself")
	case a.setType || a.setSubject:
		return fault.Hint(flagFault("'--artifact-type' and '--subject' are about the index itself"), "add '--index'")
	case a.change.IsZero() && len(a.flags.annotations) == 0:
		return flagFault("one of --os, --arch, --variant, --os-version, --os-feature or --annotation is required")
	}
	tag, err := listName(given[0])
	if err != nil {
		return err
	}
	selector, err := manifest.ParseSelector(given[1])
	if err != nil {
		return err
	}
	annotations, err := manifest.ParseAnnotations(a.flags.annotations)
	if err != nil {
		return err
	}
	a.trustNames(a.flags.insecure, tag, nil)
	return a.runList(ctx, listJob{
		publishFlags: a.flags.publishFlags, dryRun: a.flags.dryRun, tag: tag, given: given[0],
		change: func(idx manifest.Index, have listContext) (listChange, error) {
			out, err := a.edited(idx, selector.From(have.origins), have, annotations)
			if err != nil {
				return out, fmt.Errorf("annotating manifest list '%s': %w", given[0], err)
			}
			return out, nil
		},
		success: []string{fmt.Sprintf("Successfully annotated image '%s' in index '%s'", given[1], given[0])},
	})
}

// edited is the index with the one entry edited in its place.
func (a *annotating) edited(idx manifest.Index, selector manifest.Selector, have listContext, annotations []manifest.Annotation) (listChange, error) {
	e, err := idx.SelectOne(selector)
	if err != nil {
		return listChange{}, err
	}
	declared, err := have.declared(e.Descriptor.Digest)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return listChange{}, err
	}
	edit, err := entryEdit(e, declared, a.change, annotations)
	if err != nil {
		return listChange{}, err
	}
	next, err := idx.Edit(selector, edit)
	if err != nil {
		return listChange{}, err
	}
	out := listChange{index: next}
	now, err := e.Edit(edit)
	if err != nil {
		return listChange{}, err
	}
	if !a.change.IsZero() && now.Platform.Contradicts(declared) {
		out.warn(contradiction(now, declared))
	}
	if idx.Format() == manifest.FormatDocker && len(now.Descriptor.Annotations) > 0 {
		out.warn(dockerAnnotations)
	}
	out.steps = []changeDocument{stepOf("annotated", now)}
	return out, nil
}

func (a *annotating) annotateIndex(ctx context.Context, given []string) error {
	switch {
	case len(given) > 1:
		return flagFault("'--index' is about the index itself, and no entry is named then")
	case !a.change.IsZero():
		return flagFault("an index has no platform: '--os', '--arch' and their like are about an entry")
	case len(a.flags.annotations) == 0 && !a.setType && !a.setSubject:
		return flagFault("one of --annotation, --artifact-type or --subject is required")
	}
	tag, err := listName(given[0])
	if err != nil {
		return err
	}
	annotations, err := manifest.ParseAnnotations(a.flags.annotations)
	if err != nil {
		return err
	}
	a.trustNames(a.flags.insecure, tag, nil)
	subject, err := a.subject(ctx, a.flags.subject)
	if err != nil {
		return err
	}
	return a.runList(ctx, listJob{
		publishFlags: a.flags.publishFlags, dryRun: a.flags.dryRun, tag: tag, given: given[0],
		change: func(idx manifest.Index, _ listContext) (listChange, error) {
			out, err := a.editedIndex(idx, annotations, subject)
			if err != nil {
				return out, fmt.Errorf("annotating manifest list '%s': %w", given[0], err)
			}
			return out, nil
		},
		success: []string{fmt.Sprintf("Successfully annotated index '%s'", given[0])},
	})
}

func (a *annotating) editedIndex(idx manifest.Index, annotations []manifest.Annotation, subject *v1.Descriptor) (listChange, error) {
	if err := a.flags.indexFlags.fit(idx.Format()); err != nil {
		return listChange{}, err
	}
	next := idx.Annotate(annotations...)
	if a.setType {
		next = next.WithArtifactType(a.flags.artifactType)
	}
	if a.setSubject {
		var err error
		if next, err = next.WithSubject(subject); err != nil {
			return listChange{}, err
		}
	}
	out := listChange{index: next}
	if idx.Format() == manifest.FormatDocker && len(next.Annotations()) > 0 {
		out.warn(dockerAnnotations)
	}
	return out, nil
}
