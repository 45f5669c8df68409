package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// loadFlags are the flags of `manifest load`.
type loadFlags struct {
	in              string
	platforms       []string
	daemon, replace bool
	dryRun          bool
}

func newManifestLoad(s *session) *cobra.Command {
	var flags loadFlags
	cmd := &cobra.Command{
		Use:   "load -i FILE|DIR|- [NAME]",
		Short: "Load what a file or directory holds into the local store, or into Docker",
		Long: `Load images and indexes from a file, a directory or standard input into the local store, or with --daemon into the Docker engine.

It reads what 'docker save', podman, skopeo, BuildKit and 'multipack manifest save' write, and .cnb files: docker archives and OCI image layouts, also compressed ones.
Everything that has a name there is loaded under that name; with NAME the one image or index that there is, under that name.
An index becomes a list byte for byte, an image the only entry of one. --platform takes a part, all of which has to be there.`,
		Example: `  multipack manifest load -i app.tar
  docker save app:1 | multipack manifest load -i - app:1
  multipack manifest load -i out/ app:1 --platform linux/amd64,linux/arm64
  multipack manifest load -i app.tar --daemon`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.load(cmd.Context(), strings.Join(given, ""), flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.in, "input", "i", "", "`file` or directory to read; '-' is standard input")
	f.StringArrayVar(&flags.platforms, "platform", nil, "load these `platforms` only, os/arch[/variant][:osversion], linux/*, local or all; each has to be there (repeatable)")
	f.BoolVar(&flags.daemon, "daemon", false, "load into the Docker engine instead of the store")
	f.BoolVar(&flags.replace, "replace", false, "take the place of a list that exists")
	f.BoolVar(&flags.dryRun, "dry-run", false, "do everything but write; print the digest that the real run gives")
	return cmd
}

func (s *session) load(ctx context.Context, as string, flags loadFlags) error {
	ref, err := loadRef(flags.in)
	if err != nil {
		return err
	}
	opener, err := s.opener()
	if err != nil {
		return err
	}
	all, err := source.OpenAll(ctx, opener, ref)
	if err != nil {
		return err
	}
	s.atEnd(func() { _ = all.Close() })
	items, err := s.called(ref, all.Items, as)
	if err != nil {
		return err
	}
	if flags.daemon {
		return s.loadDaemon(ctx, ref, items, flags)
	}
	return s.loadStore(ctx, ref, items, flags)
}

// loadRef reads -i: a path, or a reference into one.
func loadRef(in string) (reference.Ref, error) {
	switch exists, isDir := source.Stat(in); {
	case in == "":
		return reference.Ref{}, fault.Hint(flagFault("nothing says what to load"), "add '-i FILE', or '-i -' for standard input")
	case exists && isDir:
		return reference.Ref{Kind: reference.Layout, Path: in, Given: in}, nil
	case exists:
		return reference.Ref{Kind: reference.File, Path: in, Given: in}, nil
	}
	ref, err := parseRef(in)
	if err != nil {
		return reference.Ref{}, err
	}
	switch ref.Kind {
	case reference.Registry:
		if !strings.HasPrefix(in, dockerScheme) {
			return ref, fault.New(fault.NotFound, "opening '%s': there is no such file or directory", in)
		}
		fallthrough
	case reference.Daemon, reference.Local:
		return ref, fault.Hint(flagFault("'-i %s' is no file and no directory", in), "run 'multipack manifest create NAME %s'", in)
	}
	return ref, nil
}

// called are the items with the names that they get.
func (s *session) called(ref reference.Ref, items []source.Named, as string) ([]source.Named, error) {
	if as != "" {
		tag, err := listName(as)
		if err != nil {
			return nil, err
		}
		if len(items) != 1 {
			return nil, fault.Hint(fault.New(fault.Usage, "loading '%s' as '%s': it holds %d: %s", ref, as, len(items), describeItems(items)),
				"leave the name out to load all of them, or name one: oci-archive:FILE:TAG, docker-archive:FILE:NAME")
		}
		return []source.Named{{Names: []name.Tag{tag}, Artifact: items[0].Artifact}}, nil
	}
	named := slices.DeleteFunc(slices.Clone(items), func(n source.Named) bool { return len(n.Names) == 0 })
	if len(named) == 0 {
		return nil, fault.Hint(fault.New(fault.Usage, "loading '%s': it has no image names: %s", ref, describeItems(items)),
			"give it one: 'multipack manifest load -i %s NAME'", ref)
	}
	if left := len(items) - len(named); left > 0 {
		s.console.Warn("'%s' holds %d without an image name, which stay where they are: %s", ref, left,
			describeItems(slices.DeleteFunc(slices.Clone(items), func(n source.Named) bool { return len(n.Names) > 0 })))
	}
	return named, nil
}

// describeItems lists what a file holds.
func describeItems(items []source.Named) string {
	var out []string
	for _, item := range items {
		text := ""
		for _, n := range item.Names {
			text += "'" + reference.Familiar(n) + "' "
		}
		if item.Label != "" {
			text += "'" + item.Label + "' "
		}
		if h, err := item.Artifact.Digest(); err == nil {
			text += h.String()
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// loadStore makes a list of every item.
func (s *session) loadStore(ctx context.Context, ref reference.Ref, items []source.Named, flags loadFlags) error {
	var lists []loading
	for _, item := range items {
		picked, err := s.pickToLoad(ref, item, pickFlags{platforms: flags.platforms, asIndex: true})
		if err != nil {
			return err
		}
		idx, ok := picked.(v1.ImageIndex)
		if !ok {
			return fault.New(fault.Failed, "loading '%s': what was chosen is no index", ref)
		}
		if err := s.complete(ctx, found{ref: ref, given: ref.Given, artifact: picked}, picked, nil); err != nil {
			return err
		}
		for _, tag := range item.Names {
			l, err := s.newLoading(ctx, ref, tag, idx, flags.replace)
			if err != nil {
				return err
			}
			lists = append(lists, l)
		}
	}
	for _, l := range lists {
		if flags.dryRun {
			s.console.Note("Would load %s as '%s'", entriesText(l.index.Len()), reference.Familiar(l.tag))
		} else if err := s.storeList(ctx, l); err != nil {
			return err
		}
	}
	return s.loaded(ref, lists, flags)
}

// loaded shows what was loaded.
func (s *session) loaded(ref reference.Ref, lists []loading, flags loadFlags) error {
	var doc struct {
		Lists []indexDocument `json:"lists"`
	}
	for _, l := range lists {
		d, err := newIndexDocument(reference.Canonical(l.tag), l.index, nil)
		if err != nil {
			return err
		}
		d.DryRun = flags.dryRun
		doc.Lists = append(doc.Lists, d)
		if s.globals.output == "" {
			s.console.Result(listLine(l.tag, d.Digest))
		}
	}
	if s.globals.output == ui.JSON {
		if err := s.console.Document(ui.JSON, doc); err != nil {
			return err
		}
	}
	if flags.dryRun {
		s.console.Success("Dry run: nothing was written")
		return nil
	}
	for _, l := range lists {
		s.console.Success("Successfully loaded manifest list '%s' from '%s'", reference.Familiar(l.tag), ref)
	}
	return nil
}

// loadDaemon gives every item to the Docker engine.
func (s *session) loadDaemon(ctx context.Context, ref reference.Ref, items []source.Named, flags loadFlags) error {
	var all []publish.Report
	for _, item := range items {
		picked, err := s.pickToLoad(ref, item, pickFlags{platforms: flags.platforms})
		if err != nil {
			return err
		}
		from := found{ref: ref, given: ref.Given, artifact: picked}
		reports, err := s.send(ctx, from, picked, daemonTarget(item.Names), sendFlags{dryRun: flags.dryRun})
		if err != nil {
			return fmt.Errorf("loading '%s': %w", ref, err)
		}
		all = append(all, reports...)
	}
	if err := s.sent(all); err != nil {
		return err
	}
	if flags.dryRun {
		s.console.Success("Dry run: nothing was written")
		return nil
	}
	for _, item := range items {
		for _, n := range item.Names {
			s.console.Success("Successfully loaded '%s' into the docker daemon", reference.Familiar(n))
		}
	}
	return nil
}

func entriesText(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
