package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// saveFlags are the flags of `manifest save`.
type saveFlags struct {
	pickFlags
	out, as string
	dryRun  bool
}

// The values of --as.
const (
	asArchive = "oci-archive"
	asDir     = "oci-dir"
	asDocker  = "docker-archive"
)

func newManifestSave(s *session) *cobra.Command {
	var flags saveFlags
	cmd := &cobra.Command{
		Use:   "save LIST|REF -O FILE|DIR|-",
		Short: "Save a manifest list or an image to a file, a directory or standard output",
		Long: `Save a manifest list of the local store, or an image or index from anywhere, with all its content.

The result is an OCI image layout: a tar, which 'docker load' takes too (with this machine's platform first), or a directory, to which the
image is added. --as says which; without it, what ends in '/' or is a directory becomes a directory, everything else a tar.
--as docker-archive is what 'docker save' writes; it holds one platform. What the store holds is saved without the network.
--platform with one platform saves that platform's image itself (--as-index keeps an index round it); several save an index of just those.`,
		Example: `  multipack manifest save app:1 -O app.tar
  multipack manifest save ghcr.io/acme/app:1 -O out/ --platform linux/amd64,linux/arm64
  multipack manifest save app:1 --platform linux/amd64 --as docker-archive -O - | docker load`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.save(cmd.Context(), given[0], flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.out, "out", "O", "", "`file` or directory to write; '-' is standard output")
	f.StringVar(&flags.as, "as", "", "`kind` of result: oci-archive, oci-dir or docker-archive (default: by name)")
	flags.pickFlags.register(f)
	f.BoolVar(&flags.dryRun, "dry-run", false, "do everything but write; print the digest that the real run gives")
	return cmd
}

func (s *session) save(ctx context.Context, given string, flags saveFlags) error {
	to, err := saveTarget(flags)
	if err != nil {
		return err
	}
	if flags.out == "-" && !flags.dryRun {
		if err := s.yieldStdout(); err != nil {
			return err
		}
	}
	from, err := s.find(ctx, given)
	if err != nil {
		return err
	}
	picked, err := s.pick(from, flags.pickFlags)
	if err != nil {
		return fmt.Errorf("saving '%s': %w", given, err)
	}
	to = named(to, from.ref)
	reports, err := s.send(ctx, from, picked, []publish.Target{{Ref: to}}, sendFlags{dryRun: flags.dryRun})
	if fault.Is(err, fault.Usage) && to.Kind == reference.DockerArchive {
		return fault.Hint(err, "choose one with --platform, or save it as an oci-archive")
	}
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
	s.console.Success("Successfully saved '%s' to %s", given, whereTo(to))
	return nil
}

// saveTarget reads -O and --as.
func saveTarget(flags saveFlags) (reference.Ref, error) {
	out := flags.out
	exists, isDir := source.Stat(out)
	as := flags.as
	if as == "" {
		as = asArchive
		if isDir || strings.HasSuffix(out, "/") {
			as = asDir
		}
	}
	ref := reference.Ref{Path: out, Given: out}
	switch as {
	case asArchive:
		ref.Kind = reference.Archive
	case asDocker:
		ref.Kind = reference.DockerArchive
	case asDir:
		ref.Kind = reference.Layout
	default:
		return ref, flagFault("'--as' is '%s', '%s' or '%s', not '%s'", asArchive, asDir, asDocker, as)
	}
	switch {
	case out == "":
		return ref, fault.Hint(flagFault("nothing says where to save to"), "add '-O FILE', or '-O -' for standard output")
	case out == "-" && as == asDir:
		return ref, flagFault("a directory cannot be written to standard output")
	case as == asDir && exists && !isDir:
		return ref, flagFault("'%s' is a file, not a directory", out)
	case as != asDir && isDir:
		return ref, flagFault("'%s' is a directory, not a file", out)
	case as == asDir:
		ref.Path = strings.TrimRight(out, "/")
		if ref.Path == "" {
			ref.Path = "/"
		}
	}
	return ref, nil
}

// named gives what is saved the name that it was found under.
func named(to, from reference.Ref) reference.Ref {
	full := from.Tag
	tag, ok := from.Name.(name.Tag)
	if ok {
		full = reference.Canonical(tag)
	}
	if to.Kind != reference.DockerArchive {
		to.Tag = full
	} else if ok {
		to.Name = tag
	} else if n, err := reference.ParseListName(full); err == nil && strings.ContainsAny(full, ":/") {
		to.Name = n
	}
	return to
}
