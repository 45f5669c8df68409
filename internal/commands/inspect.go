package commands

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// inspectFlags are the flags of `buildpack inspect` and `extension inspect`.
type inspectFlags struct {
	platforms []string
	depth     int
	registry  string
	insecure  bool
}

func newInspect(s *session, m module) *cobra.Command {
	var flags inspectFlags
	cmd := documents(&cobra.Command{
		Use:   "inspect REF",
		Short: fmt.Sprintf("Show what %s holds, for each platform", m.article()),
		Long: fmt.Sprintf(`Show what %s holds: in a registry, the daemon, a layout, an archive or a .cnb file.

--platform chooses the platform; without it, it is this machine's, else the first, and a note says which there are.
Only manifests and configs are read, never a layer.`, m.article()),
		Example: fmt.Sprintf(`  multipack %[1]s inspect ghcr.io/acme/bp:1.2.0
  multipack %[1]s inspect oci-layout://out/bp:1.2.0 --platform linux/arm64 -o json`, m.word),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.inspect(cmd.Context(), m, given[0], flags)
		},
	})
	f := cmd.Flags()
	f.StringArrayVar(&flags.platforms, "platform", nil, "`platform` to show, os/arch[/variant][:osversion] or local")
	f.IntVarP(&flags.depth, "depth", "d", -1, "`levels` of groups that the detection order shows; negative shows all")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

func (s *session) inspect(ctx context.Context, m module, given string, flags inspectFlags) error {
	ref, err := parseRef(given)
	if err != nil {
		return err
	}
	want, err := platform.ParseList(flags.platforms, platform.Local())
	if err != nil {
		return err
	}
	s.trust(flags.insecure, ref)
	opened, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	img, err := s.choose(ctx, opened, want)
	if err != nil {
		return err
	}
	info, err := inspect.Image(img)
	if err != nil {
		return fmt.Errorf("inspecting '%s': %w", given, err)
	}
	if info.Kind != m.word {
		return fault.Hint(fault.New(fault.Usage, "inspecting '%s': it is a %s, not a %s", given, info.Kind, m.word),
			"run 'multipack %s inspect %s'", info.Kind, given)
	}
	if s.globals.output != "" {
		return s.console.Document(s.globals.output, info)
	}
	text, err := inspect.Render(info, inspect.Text{
		Ref: given, Location: location(ref), Depth: flags.depth, Mixins: s.globals.verbose,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(s.console.Out(), text)
	return err
}

// choose is the image of the one platform that is asked for: this machine's,
// else the first, where none is.
func (s *session) choose(ctx context.Context, opened source.Opened, want platform.List) (v1.Image, error) {
	images, err := source.Images(ctx, opened)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, fault.New(fault.NotFound, "inspecting '%s': it holds no image", opened.Ref)
	}
	found := make([]string, len(images))
	for i, img := range images {
		found[i] = img.Platform.String()
	}
	if want.IsZero() {
		chosen := images[0]
		for _, img := range images {
			if img.Platform.Match(platform.Local()) {
				chosen = img
				break
			}
		}
		if len(images) > 1 {
			s.console.Note("Showing '%s'; there are %s", chosen.Platform, strings.Join(found, ", "))
		}
		return chosen.Image, nil
	}
	var chosen []source.PlatformImage
	for _, img := range images {
		for _, f := range want.Filters {
			if f.Match(img.Platform) {
				chosen = append(chosen, img)
				break
			}
		}
	}
	switch {
	case len(chosen) == 0:
		return nil, fault.Hint(fault.New(fault.NotFound, "inspecting '%s': no image for '%s' (platforms found: %s)", opened.Ref, filters(want), strings.Join(found, ", ")),
			"choose one of them with --platform")
	case len(chosen) > 1 || want.All:
		return nil, fault.Hint(fault.New(fault.Usage, "inspecting '%s': '%s' names several platforms (platforms found: %s)", opened.Ref, filters(want), strings.Join(found, ", ")),
			"name one, or use --all-platforms")
	}
	return chosen[0].Image, nil
}

func filters(l platform.List) string {
	if l.All {
		return "all"
	}
	names := make([]string, len(l.Filters))
	for i, f := range l.Filters {
		names[i] = f.String()
	}
	return strings.Join(names, ", ")
}

// location is where a package was found, in pack's words.
func location(ref reference.Ref) string {
	switch ref.Kind {
	case reference.Registry:
		return inspect.RemoteImage
	case reference.Daemon, reference.Local:
		return inspect.LocalImage
	default:
		return inspect.LocalArchive
	}
}
