package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/source"
)

func newPackageVerify(s *session, m module) *cobra.Command {
	flags := packageFlags{lintArg: lintOff}
	var rebuild bool
	cmd := documents(&cobra.Command{
		Use:   "verify REF",
		Short: fmt.Sprintf("Check that a packaged %s is what its source gives", m.word),
		Long: fmt.Sprintf(`With --rebuild: package %s again, without writing anything, and compare what comes out with what is at REF.

The flags are those of 'package' that decide the bytes: give the same as then. Every platform is compared by its digest;
where they differ the first differing file is named, or else what is different in labels, config or manifest. Differences exit 6.
With --platform only the named platforms are rebuilt and compared; without, also those that REF has and the source has not.
Whether everything that REF points at is there is what 'manifest verify' checks.`, m.article()),
		Example: fmt.Sprintf(`  multipack %[1]s verify ghcr.io/acme/bp:1.2.0 --rebuild --path .
  multipack %[1]s verify ghcr.io/acme/bp:1.2.0 --rebuild --config package.toml --platform linux/arm64 -o json`, m.word),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if !rebuild {
				return fault.Hint(flagFault("what to verify is not said"), "add '--rebuild' to package it again and compare, or run 'multipack manifest verify %s'", given[0])
			}
			if err := flags.check(); err != nil {
				return err
			}
			p := packaging{session: s, module: m, flags: flags}
			return p.verify(cmd.Context(), given[0])
		},
	})
	flags.registerContent(cmd, m)
	f := cmd.Flags()
	f.BoolVar(&rebuild, "rebuild", false, "package again, without writing, and compare")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

// verify packages again and compares the result with what is at REF.
func (p *packaging) verify(ctx context.Context, given string) error {
	ref, err := parseRef(given)
	if err != nil {
		return err
	}
	// Where the package is decides where its dependencies were taken from.
	p.to = destination{ref: ref, given: given}
	p.trust(p.flags.insecure, ref)
	options, err := p.options()
	if err != nil {
		return err
	}
	there, err := p.side(ctx, given, platform.List{})
	if err != nil {
		return err
	}
	if err := p.load(ctx); err != nil {
		return err
	}
	builds, err := p.builds(ctx)
	if err != nil {
		return err
	}
	if err := buildpack.ValidateAll(builds); err != nil {
		return p.explained(err)
	}
	if p.maker, err = p.newMaker(); err != nil {
		return err
	}
	options.Maker = p.maker
	doc, err := p.rebuilt(ctx, there, builds, options)
	if errors.Is(err, layer.ErrStale) { // as in pack
		doc, err = p.rebuilt(ctx, there, builds, options)
	}
	if err != nil {
		return fmt.Errorf("verifying '%s': %w", given, err)
	}
	if !doc.Equal {
		err = fault.New(fault.Check, "verifying '%s': it is not what the source gives:\n%s", given, strings.Join(doc.reasons(), "\n"))
	}
	err = p.showPackageDiff(doc, err)
	if err == nil {
		p.console.Success("'%s' is what the source gives", given)
	}
	return err
}

// rebuilt packages and compares, files included.
func (p *packaging) rebuilt(ctx context.Context, there packageSide, builds []buildpack.PlatformBuild, options buildpack.Options) (packageDiff, error) {
	defer p.compression.end()
	images, err := buildpack.PackAll(ctx, builds, options)
	if err != nil {
		return packageDiff{}, err
	}
	p.compression.end()
	artifact, err := p.artifact(images)
	if err != nil {
		return packageDiff{}, err
	}
	digest, err := artifact.Digest()
	if err != nil {
		return packageDiff{}, err
	}
	here := packageSide{sideDocument: sideDocument{Name: strings.Trim(p.input.name, "'"), Digest: digest.String()}, artifact: artifact}
	for _, img := range images {
		here.images = append(here.images, source.PlatformImage{Platform: img.Target.Platform.Normalize(), Descriptor: img.Descriptor, Image: img.Image})
	}
	chosen := len(p.flags.platforms)+len(p.flags.targets) > 0
	if chosen {
		there.images = onlyOf(there.images, here.images)
	}
	doc, err := comparePackages(ctx, there, here, true)
	if err == nil && !chosen {
		doc.compareIndexes(there, here)
	}
	return doc, err
}

// onlyOf are the images whose platforms the others have too; a single image is
// compared with a single one whatever it says.
func onlyOf(images, others []source.PlatformImage) []source.PlatformImage {
	if len(images) == 1 && len(others) == 1 {
		return images
	}
	var out []source.PlatformImage
	for _, img := range images {
		for _, other := range others {
			if img.Platform == other.Platform {
				out = append(out, img)
				break
			}
		}
	}
	return out
}

// reasons name, for each platform, the first thing that differs: a file, where
// one does.
func (d packageDiff) reasons() []string {
	var out []string
	for _, p := range d.Platforms {
		switch {
		case p.Equal:
		case p.A == "":
			out = append(out, p.Platform+": it is missing")
		case p.B == "":
			out = append(out, p.Platform+": the source does not give it")
		case len(p.Files) > 0:
			f := p.Files[0]
			out = append(out, fmt.Sprintf("%s: '%s' of '%s' (%s)", p.Platform, f.Path, f.Module, f.How))
		default:
			first := p.Differences[0]
			text := fmt.Sprintf("%s: %s", p.Platform, first.What)
			if first.Key != "" {
				text += " '" + first.Key + "'"
			}
			if first.Module != "" {
				text += " of '" + first.Module + "'"
			}
			out = append(out, text)
		}
	}
	for _, field := range d.Index {
		out = append(out, "the index: "+field)
	}
	return out
}
