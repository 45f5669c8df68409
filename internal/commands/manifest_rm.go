package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/pkg/manifest"
)

// rmFlags are the flags of `manifest rm`.
type rmFlags struct {
	publishFlags
	dryRun bool
}

func newManifestRm(s *session) *cobra.Command {
	var flags rmFlags
	cmd := &cobra.Command{
		Use:   "rm LIST SELECTOR…",
		Short: "Take entries out of a manifest list",
		Long: `Take entries out of a manifest list. Attestations go with the images that they are about.

SELECTOR is an entry's platform, its digest or the first 8 or more digits of it, or the reference that it was added from;
a reference means all entries that came from it. Either all that are named go, or none.
No network is needed, except with --publish, which takes platforms out of the tag in the registry, for other jobs that append to it too.
To delete a list, use 'multipack manifest remove'.`,
		Example: `  multipack manifest rm app:1 linux/arm64
  multipack manifest rm app:1 ghcr.io/acme/app@sha256:3b5c…
  multipack manifest rm app:1 0a1b2c3d linux/s390x
  multipack manifest rm ghcr.io/acme/app:1 linux/arm64 --publish`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.checkPublish(given[0]); err != nil {
				return err
			}
			return s.rmFromList(cmd.Context(), given[0], given[1:], flags)
		},
	}
	flags.publishFlags.register(cmd.Flags())
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "write nothing; print the digest that the real run gives")
	return cmd
}

func (s *session) rmFromList(ctx context.Context, given string, entries []string, flags rmFlags) error {
	tag, err := listName(given)
	if err != nil {
		return err
	}
	selectors := make([]manifest.Selector, len(entries))
	for i, e := range entries {
		if selectors[i], err = manifest.ParseSelector(e); err != nil {
			return err
		}
	}
	s.trustNames(flags.insecure, tag, nil)
	return s.runList(ctx, listJob{
		publishFlags: flags.publishFlags, dryRun: flags.dryRun, tag: tag, given: given,
		change: func(idx manifest.Index, have listContext) (listChange, error) {
			out, err := removing(idx, selectors, have.origins)
			if err != nil {
				return out, fmt.Errorf("removing from manifest list '%s': %w", given, err)
			}
			return out, nil
		},
		success: []string{fmt.Sprintf("Successfully removed image(s) from index: '%s'", given)},
	})
}

// removing takes out all entries that the selectors mean.
func removing(idx manifest.Index, selectors []manifest.Selector, origins manifest.Origins) (listChange, error) {
	for n := range selectors {
		selectors[n] = selectors[n].From(origins)
	}
	next, gone, err := idx.Remove(selectors...)
	if err != nil {
		return listChange{}, err
	}
	out := listChange{index: next}
	for _, d := range gone {
		e, err := manifest.NewEntry(d)
		if err != nil {
			return listChange{}, err
		}
		out.steps = append(out.steps, stepOf("removed", e))
	}
	return out, nil
}
