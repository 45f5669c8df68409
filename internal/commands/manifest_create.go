package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// createFlags are the flags of `manifest create`.
type createFlags struct {
	sourceFlags
	indexFlags
	publishFlags
	format      string
	annotations []string
	dryRun      bool
}

func newManifestCreate(s *session) *cobra.Command {
	var flags createFlags
	cmd := &cobra.Command{
		Use:   "create LIST [SOURCE…]",
		Short: "Create a manifest list of images from anywhere",
		Long: `Create a manifest list in the local store. Without a SOURCE it is empty.

A SOURCE is an image or an index in a registry, the Docker daemon, a layout, an archive, a .cnb file or another list (local:NAME).
Of an index all entries are added, with the attestations of their images; --platform takes some of them.
Images in registries stay there, with manifest and config kept; of other sources everything is copied, as they may vanish.
The format is remembered for good: what 'inspect' shows is what 'push' sends.
--publish makes the tag in the registry instead, with the content of the sources copied there, and --replace starts one afresh that exists.`,
		Example: `  multipack manifest create ghcr.io/acme/app:1 ghcr.io/acme/app:1-amd64 ghcr.io/acme/app:1-arm64
  multipack manifest create app:1 docker-daemon:app:amd64 oci-layout://out/arm64 --annotation org.opencontainers.image.version=1
  multipack manifest create mine alpine:3.20 --platform 'linux/arm*' --format docker
  multipack manifest create ghcr.io/acme/app:1 app-amd64.cnb app-arm64.cnb --publish`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.checkPublish(given[0]); err != nil {
				return err
			}
			return s.createList(cmd.Context(), given[0], given[1:], flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.format, "format", "f", "oci", "`format` of the index, oci or docker; remembered for good")
	flags.sourceFlags.register(f, "take the place of a list that exists, and let a later source take the platform of an earlier one")
	annotationFlags(f, &flags.annotations, "annotation of the index")
	flags.indexFlags.register(f)
	flags.publishFlags.register(f)
	f.BoolVar(&flags.dryRun, "dry-run", false, "do everything but write; print the digest that the real run gives")
	return cmd
}

func (s *session) createList(ctx context.Context, given string, sources []string, flags createFlags) error {
	tag, err := listName(given)
	if err != nil {
		return err
	}
	options, err := flags.options()
	if err != nil {
		return err
	}
	refs, err := parseRefs(sources)
	if err != nil {
		return err
	}
	s.trustNames(flags.insecure, tag, refs)
	if !flags.publish && !flags.replace {
		if err := s.mustBeNew(ctx, tag); err != nil {
			return err
		}
	}
	fresh, err := s.freshIndex(ctx, flags)
	if err != nil {
		return err
	}
	items, err := s.gather(ctx, refs, options)
	if err != nil {
		return err
	}
	add := adding(refs, items, flags.replace)
	return s.runList(ctx, listJob{
		publishFlags: flags.publishFlags, dryRun: flags.dryRun, tag: tag, given: given,
		create: true, replace: flags.replace, fresh: fresh, refs: refs, items: items,
		change: func(idx manifest.Index, have listContext) (listChange, error) {
			out, err := add(idx, have)
			if err != nil {
				return out, fmt.Errorf("creating manifest list '%s': %w", given, err)
			}
			if fresh.Format() == manifest.FormatDocker && len(flags.annotations) > 0 {
				out.warn(dockerAnnotations)
			}
			return out, nil
		},
		success: []string{fmt.Sprintf("Successfully created manifest list '%s'", given)},
	})
}

// freshIndex is the empty index that the flags describe.
func (s *session) freshIndex(ctx context.Context, flags createFlags) (manifest.Index, error) {
	format, err := formatFlag(flags.format)
	if err != nil {
		return manifest.Index{}, err
	}
	annotations, err := manifest.ParseAnnotations(flags.annotations)
	if err != nil {
		return manifest.Index{}, err
	}
	idx := manifest.New(format.MediaType()).Annotate(annotations...)
	if err := flags.indexFlags.fit(format); err != nil {
		return manifest.Index{}, err
	}
	if flags.artifactType != "" {
		idx = idx.WithArtifactType(flags.artifactType)
	}
	subject, err := s.subject(ctx, flags.subject)
	if err != nil || subject == nil {
		return idx, err
	}
	return idx.WithSubject(subject)
}

// fit refuses what a Docker manifest list has no place for.
func (f *indexFlags) fit(format manifest.Format) error {
	if format != manifest.FormatDocker || f.artifactType == "" && f.subject == "" {
		return nil
	}
	return fault.Hint(flagFault("a Docker manifest list has neither an artifact type nor a subject"), "create the list with '--format oci'")
}

// warn adds a warning once.
func (c *listChange) warn(text string) {
	for _, w := range c.warnings {
		if w == text {
			return
		}
	}
	c.warnings = append(c.warnings, text)
}
