package commands

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// settleFlags are the flags of `manifest settle`.
type settleFlags struct {
	appendFlags
	dryRun, insecure         bool
	metadataFile, digestFile string
}

func newManifestSettle(s *session) *cobra.Command {
	var flags settleFlags
	cmd := &cobra.Command{
		Use:   "settle REF",
		Short: "Complete the index under a tag from what jobs announced for it",
		Long: `Complete the index under a tag of a registry from what jobs announced for it with --append --publish.

A job that was killed at the wrong moment can leave an older index under the tag; what it and the others brought is still announced.
Run this in a last job that always runs. It adds and takes out what the announcements say, and writes nothing where all is well.`,
		Example: `  multipack manifest settle ghcr.io/acme/bp:1.2.0
  multipack manifest settle ghcr.io/acme/bp:1.2.0 --expect linux/amd64,linux/arm64`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.settle(cmd.Context(), given[0], flags)
		},
	}
	f := cmd.Flags()
	flags.registerExpect(f)
	flags.registerExisting(f)
	f.BoolVar(&flags.dryRun, "dry-run", false, "write nothing; print the digest that the real run gives")
	f.StringVar(&flags.metadataFile, "metadata-file", "", "write a JSON `file` that says what was found and written")
	f.StringVar(&flags.digestFile, "digestfile", "", "write the digest to `file`")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

func (s *session) settle(ctx context.Context, given string, flags settleFlags) error {
	ref, err := tagRef(given)
	if err != nil {
		return err
	}
	s.trust(flags.insecure, ref)
	req, err := flags.request()
	if err != nil {
		return err
	}
	client, err := s.registry()
	if err != nil {
		return err
	}
	result, err := announce.Settle(ctx, s.tagsOf(client, ref, flags.dryRun), s.requestFor(ref, req))
	if err != nil {
		return err
	}
	s.noteResult(ref, result, flags.dryRun)
	report, err := appendReport(ref, result, nil, flags.dryRun)
	if err != nil {
		return err
	}
	if err := publish.Save([]publish.Report{report}, flags.metadataFile, flags.digestFile); err != nil {
		return err
	}
	if s.globals.output == ui.JSON {
		err = s.console.Document(ui.JSON, report)
	} else {
		s.console.Result(report.Name)
	}
	if err != nil {
		return err
	}
	switch {
	case result.Writes == 0:
		s.console.Success("'%s' has all that is announced", given)
	case flags.dryRun:
		s.console.Success("Dry run: nothing was written")
	default:
		s.console.Success("Successfully settled '%s'", given)
	}
	return nil
}

// tagRef reads a reference to a tag of a registry.
func tagRef(given string) (reference.Ref, error) {
	ref, err := parseRef(given)
	if err != nil {
		return reference.Ref{}, err
	}
	switch {
	case ref.Kind != reference.Registry:
		return reference.Ref{}, fault.New(fault.Usage, "reading '%s': only tags of registries have announcements", given)
	case ref.Digest != "":
		return reference.Ref{}, fault.New(fault.Usage, "reading '%s': it names a digest, and only tags of registries have announcements", given)
	}
	return ref, nil
}
