package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// pushFlags are the flags of `manifest push`.
type pushFlags struct {
	sendFlags
	format string
	purge  bool
}

func newManifestPush(s *session) *cobra.Command {
	var flags pushFlags
	cmd := &cobra.Command{
		Use:   "push LIST [DEST…]",
		Short: "Push a manifest list and its images to a registry, or anywhere else",
		Long: `Push a manifest list of the local store, with its images, to the registry that its name says, or to every DEST.

A DEST is a name in a registry, a layout (oci-layout://PATH[:TAG]), an archive (oci-archive:FILE), the Docker daemon (docker-daemon:NAME) or a .cnb file.
Images are written first, by digest, the index next, tags last and once. What the destination's registry has in another repository is mounted there,
everything else comes from the store or from the registry that an entry was added from. The index goes out byte for byte as 'inspect' shows it.

--platform with one platform pushes that platform's image itself (--as-index keeps an index round it, with its attestations); several push an index of just those.
Nothing is written when a platform, or an image that the list points at, is not to be had.`,
		Example: `  multipack manifest push ghcr.io/acme/app:1
  multipack manifest push app:1 ghcr.io/acme/app:1 registry.example.com/acme/app:1 --tag latest
  multipack manifest push ghcr.io/acme/app:1 --platform linux/amd64,linux/arm64
  multipack manifest push ghcr.io/acme/app:1 --dry-run`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.pushList(cmd.Context(), given[0], given[1:], flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.format, "format", "f", "", "convert the index to this `format`, oci or docker, which gives it another digest; images keep theirs (default: the list's own)")
	flags.sendFlags.register(f)
	f.BoolVar(&flags.purge, "purge", false, "remove the list from the store when it is pushed")
	return cmd
}

func (s *session) pushList(ctx context.Context, given string, dest []string, flags pushFlags) error {
	tag, err := listName(given)
	if err != nil {
		return fault.Hint(err, copying)
	}
	targets, err := s.pushTargets(given, tag, dest, flags.sendFlags)
	if err != nil {
		return err
	}
	list, err := s.listToPush(ctx, given, tag)
	if err != nil {
		return err
	}
	whole := list.list.List.Digest()
	list, warnings, err := s.converted(ctx, list, flags.format)
	if err != nil {
		return err
	}
	picked, err := s.pick(list, flags.pickFlags)
	if err != nil {
		return fmt.Errorf("pushing '%s': %w", given, err)
	}
	if _, isImage := picked.(v1.Image); isImage && len(warnings) > 0 {
		warnings = []string{"'--format' has no effect: it is about an index, and what is pushed is an image"}
	}
	for _, w := range warnings {
		s.console.Warn("%s", w)
	}
	if list.list.List.Index.Len() == 0 {
		s.console.Warn("'%s' is empty", given)
	}
	reports, err := s.send(ctx, list, picked, targets, flags.sendFlags)
	if err != nil {
		return err
	}
	if err := s.sent(reports); err != nil {
		return err
	}
	if flags.dryRun {
		if flags.purge {
			s.console.Note("Would remove '%s' from the local store", given)
		}
		s.console.Success("Dry run: nothing was written")
		return nil
	}
	s.sayPushed(given, targets)
	if flags.purge {
		return s.purge(ctx, given, list, whole.String())
	}
	return nil
}

// copying is the hint for what is no list.
const copying = "'multipack manifest copy SOURCE DEST' copies what is not in the local store"

// listToPush opens LIST, which has to be in the store.
func (s *session) listToPush(ctx context.Context, given string, tag name.Tag) (found, error) {
	opened, err := s.open(ctx, localRef(tag, given))
	if fault.Is(err, fault.NotFound) {
		near := fault.HintOf(err)
		if !strings.HasPrefix(near, "did you mean") {
			near = "'multipack manifest ls' shows the lists there are;"
		}
		err = fault.Hint(err, "%s %s", near, copying)
	}
	if err != nil {
		return found{}, err
	}
	return newFound(given, opened), nil
}

// pushTargets are the destinations: without any, what the list's name says.
func (s *session) pushTargets(given string, tag name.Tag, dest []string, flags sendFlags) ([]publish.Target, error) {
	if len(dest) > 0 {
		return s.targets(dest, flags)
	}
	ref := reference.Ref{Kind: reference.Registry, Name: tag, Tag: tag.TagStr(), Given: strings.TrimPrefix(given, "local:")}
	t, err := s.target(ref, ref.Given, flags)
	return []publish.Target{t}, err
}

// converted is the list with its index in another format, and what there is to
// say about that.
func (s *session) converted(ctx context.Context, f found, given string) (found, []string, error) {
	if given == "" {
		return f, nil, nil
	}
	format, err := formatFlag(given)
	if err != nil {
		return found{}, nil, err
	}
	list := f.list.List
	if format == list.Index.Format() {
		return f, nil, nil
	}
	next, lost := list.Index.Convert(format)
	children, err := s.children(ctx, list)
	if err != nil {
		return found{}, nil, err
	}
	bound, err := manifest.Bind(next, children)
	if err != nil {
		return found{}, nil, err
	}
	h, err := bound.Digest()
	if err != nil {
		return found{}, nil, err
	}
	warnings := []string{fmt.Sprintf("converting the index of '%s' from '%s' to '%s': its digest is '%s', not '%s'",
		f.given, list.Index.Format(), format, h, list.Digest())}
	for _, l := range lost {
		warnings = append(warnings, fmt.Sprintf("the format '%s' has no place for %s: it is left out", format, l))
	}
	f.artifact = bound
	return f, warnings, nil
}

func (s *session) sayPushed(given string, targets []publish.Target) {
	said := false
	for _, t := range targets {
		if t.Ref.Kind != reference.Registry {
			s.console.Success("Successfully pushed manifest list '%s' to %s", given, whereTo(t.Ref))
		} else if !said {
			said = true
			s.console.Success("Successfully pushed manifest list '%s' to registry", given)
		}
	}
}

// purge removes the list that was pushed, unless somebody changed it since.
func (s *session) purge(ctx context.Context, given string, f found, pushed string) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	now, err := st.Load(ctx, f.list.List.Name)
	if err != nil {
		return err
	}
	if now.Digest().String() != pushed {
		s.console.Warn("'%s' was changed while it was pushed, and is kept", given)
		return nil
	}
	if err := st.Remove(ctx, f.list.List.Name); err != nil {
		return err
	}
	s.console.Success("Successfully deleted manifest list(s) from local storage")
	return nil
}
