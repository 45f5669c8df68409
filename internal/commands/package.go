package commands

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/publish"
)

func newPackage(s *session, m module) *cobra.Command {
	var flags packageFlags
	cmd := &cobra.Command{
		Use:   "package NAME",
		Short: fmt.Sprintf("Package %s for one or several platforms", m.article()),
		Long: fmt.Sprintf(`Package %s: one image per platform and, for several platforms, one index of them.

NAME is where the result goes: with --publish the registry that it names, without it the Docker daemon;
an OCI layout (oci-layout://PATH[:TAG], oci:PATH), an archive (oci-archive:FILE) or a .cnb file as it is.

The platforms are those of --platform or --target, else the [[targets]] of %s (of package.toml for a composite).
Each platform gets the deepest existing folder of os/arch/variant/distro@version, or its target's path.
%sContent is written first, by digest, and names last: a failure leaves every tag as it was.
--append keeps what the tag has and puts these platforms in. Any number of jobs may do that at once on one tag: none is lost.
The same input gives the same digest, on any machine; SOURCE_DATE_EPOCH sets the time of creation.`, m.article(), m.descriptor, m.composites()),
		Example: fmt.Sprintf(`  multipack %[1]s package ghcr.io/acme/bp:1.2.0 --path . --platform linux/amd64,linux/arm64 --publish
  multipack %[1]s package ghcr.io/acme/bp:1.2.0 --path . --platform linux/arm64 --append --publish
  multipack %[1]s package oci-layout://out/bp:1.2.0 --config package.toml
  multipack %[1]s package bp --path . --format file --single-file`, m.word),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			p := packaging{session: s, module: m, flags: flags}
			return p.run(cmd.Context(), given[0])
		},
	}
	flags.register(cmd, m)
	return cmd
}

// packaging is one run of `package`: what is known so far.
type packaging struct {
	*session
	module module
	flags  packageFlags

	to    destination
	input input
	plan  buildpack.Plan
	found *dependency.Resolution
	maker *layer.Maker
	// compression is the maker's progress.
	compression *compression
}

// run goes from what is cheap and certain to what is expensive: nothing is
// written before everything is known to be possible.
func (p *packaging) run(ctx context.Context, name string) error {
	var err error
	if p.to, err = newDestination(name, &p.flags); err != nil {
		return err
	}
	if err := p.to.checkAppend(&p.flags); err != nil {
		return err
	}
	if err = publish.CanSave(p.flags.metadataFile, p.flags.digestFile); err != nil {
		return err
	}
	p.to.warn(p.console, &p.flags)
	if p.to.stdout() && !p.flags.dryRun {
		if err := p.yieldStdout(); err != nil {
			return err
		}
	}
	options, err := p.options()
	if err != nil {
		return err
	}
	p.trust(p.flags.insecure, p.to.ref) // before the first request, which may be a dependency's
	if err := p.load(ctx); err != nil {
		return err
	}
	builds, err := p.builds(ctx)
	if err != nil {
		return err
	}
	if err := p.judge(ctx, builds); err != nil {
		return err
	}
	if p.maker, err = p.newMaker(); err != nil {
		return err
	}
	options.Maker = p.maker
	return p.pack(ctx, builds, options)
}

// options are those that every platform's image shares.
func (p *packaging) options() (buildpack.Options, error) {
	annotations, err := keyValues("annotation", p.flags.annotations)
	if err != nil {
		return buildpack.Options{}, err
	}
	created, err := sourceDate(p.app.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return buildpack.Options{}, err
	}
	unpacker, err := p.unpacker()
	if err != nil {
		return buildpack.Options{}, err
	}
	return buildpack.Options{
		Labels: p.flags.labels, Annotations: annotations, Created: created,
		Flatten: p.flags.flatten, FlattenExclude: p.flags.flattenExclude, Unpack: unpacker.Tree,
		Jobs: max(4, p.jobs()),
	}, nil
}
