package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newManifestCopy(s *session) *cobra.Command {
	var flags sendFlags
	cmd := &cobra.Command{
		Use:     "copy SOURCE DEST…",
		Aliases: []string{"cp"},
		Short:   "Copy an image or an index from anywhere to anywhere",
		Long: `Copy an image or an index from anywhere to anywhere: byte for byte, with nested indexes and attestations, so that every digest stays.

SOURCE is a name in a registry, a list (local:NAME), the Docker daemon (docker-daemon:NAME), a layout, an archive, a .cnb file or standard input (-).
DEST is a name in a registry, the Docker daemon, a layout, an archive, a .cnb file or standard output (-).
--platform copies a part: one platform's image itself, or (several, or with --as-index) a new index of just those, whose digest is another one.
Within a registry layers are mounted and never move. Tags are written last, when everything is everywhere.`,
		Example: `  multipack manifest copy ghcr.io/acme/app:1 registry.example.com/acme/app:1 --tag latest
  multipack manifest copy alpine:3.20 oci-layout://out/alpine:3.20 --platform linux/amd64,linux/arm64
  docker save app | multipack manifest copy - ghcr.io/acme/app:1`,
		Args: args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.copy(cmd.Context(), given[0], given[1:], flags)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

func (s *session) copy(ctx context.Context, given string, dest []string, flags sendFlags) error {
	ref, err := parseRef(given)
	if err != nil {
		return err
	}
	targets, err := s.targets(dest, flags)
	if err != nil {
		return err
	}
	opened, err := s.open(ctx, ref)
	if err != nil {
		return s.hintLocal(ctx, ref, err)
	}
	from := newFound(given, opened)
	picked, err := s.pick(from, flags.pickFlags)
	if err != nil {
		return fmt.Errorf("copying '%s': %w", given, err)
	}
	reports, err := s.send(ctx, from, picked, targets, flags)
	if err != nil {
		return err
	}
	if err := s.sent(reports); err != nil {
		return err
	}
	if flags.dryRun {
		s.console.Success("Dry run: nothing was written")
		return nil
	}
	for _, t := range targets {
		s.console.Success("Successfully copied '%s' to %s", given, whereTo(t.Ref))
	}
	return nil
}
