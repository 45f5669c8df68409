package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// inspectFlags are the flags of `buildpack inspect` and `extension inspect`.
type inspectFlags struct {
	platforms  []string
	depth      int
	all        bool
	failOnSkew bool
	insecure   bool
}

func newInspect(s *session, m module) *cobra.Command {
	var flags inspectFlags
	cmd := documents(&cobra.Command{
		Use:   "inspect REF",
		Short: fmt.Sprintf("Show what %s holds, for each platform", m.article()),
		Long: fmt.Sprintf(`Show what %s holds: in a registry, the daemon, a layout, an archive or a .cnb file.

--platform chooses the platform; without it, it is this machine's, else the first, and a note says which there are.

--all-platforms compares all of them, or those that --platform names: a row for each module, a column for each platform
with the layer's digest and size, and then what differs: modules, versions, APIs, orders, targets, stacks, labels. A
row that differs is marked '!', and so is in it what is not as on most platforms; '?' stands behind what is optional in
an order. Other layer content alone is no difference: binaries are meant to differ.

Only manifests and configs are read, never a layer. Those that were read are kept in the cache folder, by digest
(MULTIPACK_CACHE names another folder, or is 'off').`, m.article()),
		Example: fmt.Sprintf(`  multipack %[1]s inspect ghcr.io/acme/bp:1.2.0
  multipack %[1]s inspect ghcr.io/acme/bp:1.2.0 --all-platforms --fail-on-skew
  multipack %[1]s inspect oci-layout://out/bp:1.2.0 --platform linux/arm64 -o json`, m.word),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return inspection{session: s, module: m, given: given[0], flags: flags}.run(cmd.Context())
		},
	})
	f := cmd.Flags()
	f.StringArrayVar(&flags.platforms, "platform", nil, "`platform` to show, os/arch[/variant][:osversion], a pattern, or local (repeatable with --all-platforms)")
	f.BoolVar(&flags.all, "all-platforms", false, "compare the platforms")
	f.BoolVar(&flags.failOnSkew, "fail-on-skew", false, "exit 6 when the platforms differ; implies --all-platforms")
	f.IntVarP(&flags.depth, "depth", "d", -1, "`levels` of groups that the detection order of one platform shows; negative shows all")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

// inspection is one run of `inspect`.
type inspection struct {
	*session
	module module
	given  string
	flags  inspectFlags
}

func (i inspection) run(ctx context.Context) error {
	ref, err := parseRef(i.given)
	if err != nil {
		return err
	}
	want, err := platform.ParseList(i.flags.platforms, platform.Local())
	if err != nil {
		return err
	}
	i.trust(i.flags.insecure, ref)
	opened, err := i.look(ctx, ref)
	if err != nil {
		return elsewhere(ref, err)
	}
	list, err := source.List(ctx, opened)
	if err != nil {
		return err
	}
	if len(list.Platforms()) == 0 {
		return fault.New(fault.NotFound, "inspecting '%s': it holds no image", i.given)
	}
	if i.flags.all || i.flags.failOnSkew {
		return i.matrix(ctx, ref, list, want)
	}
	at, err := i.choose(list.Platforms(), want)
	if err != nil {
		return err
	}
	infos, err := i.read(ctx, list, at)
	if err != nil {
		return err
	}
	return i.show(infos[0], ref)
}

// elsewhere says how to name what a plain name may have meant: pack looks into
// the Docker engine first, and a folder has its name too.
func elsewhere(ref reference.Ref, err error) error {
	if ref.Kind != reference.Registry || fault.HintOf(err) != "" {
		return err
	}
	if _, folder := source.Stat(ref.Given); folder {
		return fault.Hint(err, "a layout in the folder of that name would be 'oci:%s'", ref.Given)
	}
	if ref.Name.Context().RegistryStr() == name.DefaultRegistry && !strings.HasPrefix(ref.Given, dockerScheme) {
		return fault.Hint(err, "an image of that name in the Docker engine is 'docker-daemon:%s'", ref.Given)
	}
	return err
}

// show prints one platform's package, in pack's words.
func (i inspection) show(info inspect.Info, ref reference.Ref) error {
	if i.globals.output != "" {
		return i.console.Document(i.globals.output, info)
	}
	text, err := inspect.Render(info, inspect.Text{
		Ref: i.given, Location: location(ref), Depth: i.flags.depth, Mixins: i.globals.verbose,
	})
	if err != nil {
		return fault.Hint(fmt.Errorf("inspecting '%s': %w", i.given, err), "'--depth 0' leaves the order out, and '-o json' shows it as it is")
	}
	_, err = fmt.Fprint(i.console.Out(), text)
	return err
}

// read reads the images at the given places of list, several at once.
func (i inspection) read(ctx context.Context, list source.Listing, at ...int) ([]inspect.Info, error) {
	images, err := list.Open(ctx, at...)
	if err != nil {
		return nil, err
	}
	infos, errs := make([]inspect.Info, len(images)), make([]error, len(images))
	var group errgroup.Group
	group.SetLimit(i.requests())
	for n, img := range images {
		group.Go(func() error {
			if infos[n], errs[n] = inspect.Image(img.Image); errs[n] != nil && len(images) > 1 {
				errs[n] = fmt.Errorf("%s: %w", img.Platform, errs[n])
			}
			if !img.Platform.IsZero() {
				infos[n].Platform = img.Platform.String()
			}
			return nil
		})
	}
	_ = group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("inspecting '%s': %w", i.given, err)
	}
	for _, info := range infos {
		if info.Kind != i.module.word {
			return nil, fault.Hint(fault.New(fault.Usage, "inspecting '%s': it is %s, not %s", i.given, module{word: info.Kind}.article(), i.module.article()),
				"run 'multipack %s inspect %s'", info.Kind, i.given)
		}
	}
	return infos, nil
}

// choose is the place of the one platform that is asked for: this machine's,
// else the first, where none is.
func (i inspection) choose(found []platform.Platform, want platform.List) (int, error) {
	if want.IsZero() {
		at := max(0, slices.IndexFunc(found, func(p platform.Platform) bool { return p.Match(platform.Local()) }))
		if len(found) > 1 {
			i.console.Note("Showing '%s'; there are %s", found[at], platformNames(found))
		}
		return at, nil
	}
	at, err := i.filtered(found, want)
	if err == nil && len(at) > 1 {
		err = fault.Hint(fault.New(fault.Usage, "inspecting '%s': '%s' names several platforms (platforms found: %s)", i.given, strings.Join(i.flags.platforms, ","), platformNames(found)),
			"name one, or use --all-platforms")
	}
	if err != nil {
		return 0, err
	}
	return at[0], nil
}

// filtered are the places of the platforms that --platform asks for.
func (i inspection) filtered(found []platform.Platform, want platform.List) ([]int, error) {
	return matching("inspecting '"+i.given+"'", found, want)
}

// matching are the places of the platforms that --platform asks for, each of
// which has to be there. A platform that is there as it is named is meant alone,
// and not together with those that say more (an os.version). doing is what is
// being done, for the error.
func matching(doing string, found []platform.Platform, want platform.List) ([]int, error) {
	chosen := make([]bool, len(found))
	for _, f := range want.Filters {
		exact := f.Glob == "" && slices.Contains(found, f.Platform)
		matched := false
		for n, p := range found {
			if exact && p == f.Platform || !exact && f.Match(p) {
				chosen[n], matched = true, true
			}
		}
		if !matched {
			return nil, fault.Hint(fault.New(fault.NotFound, "%s: no image for '%s' (platforms found: %s)", doing, f, platformNames(found)),
				"choose one of them with --platform")
		}
	}
	var at []int
	for n := range found {
		if chosen[n] || want.All || want.IsZero() {
			at = append(at, n)
		}
	}
	return at, nil
}

func platformNames(platforms []platform.Platform) string {
	out := make([]string, len(platforms))
	for i, p := range platforms {
		out[i] = p.String()
	}
	return strings.Join(out, ", ")
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
