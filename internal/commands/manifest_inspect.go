package commands

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/manifest/outline"
	"github.com/multipack/multipack/pkg/reference"
)

// manifestInspectFlags are the flags of `manifest inspect`.
type manifestInspectFlags struct {
	raw, tree, local, remote, insecure bool
	announcements                      bool
}

func newManifestInspect(s *session) *cobra.Command {
	var flags manifestInspectFlags
	cmd := documents(&cobra.Command{
		Use:   "inspect LIST|REF",
		Short: "Show a manifest list, or an index or image from anywhere",
		Long: `Show a manifest list of the local store, else what the registry has under that name; or an index or image of any other reference.

On a terminal it is a table; elsewhere, and with --raw, the exact bytes that are in the registry or that a push would send.
--tree shows what is below each entry: layers, sizes, and which of them are shared. It reads manifests only.
--announcements shows what jobs announced for a tag with --append --publish, and whether its index has that.`,
		Example: `  multipack manifest inspect app:1
  multipack manifest inspect ghcr.io/acme/app:1 --tree
  multipack manifest inspect oci-archive:app.tar --raw | sha256sum`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.check(s.globals.output); err != nil {
				return err
			}
			if flags.announcements {
				return s.inspectAnnouncements(cmd.Context(), given[0], flags)
			}
			return s.inspectManifest(cmd.Context(), given[0], flags)
		},
	})
	f := cmd.Flags()
	f.BoolVar(&flags.raw, "raw", false, "write the exact bytes, also on a terminal")
	f.BoolVar(&flags.tree, "tree", false, "show layers and sizes too")
	f.BoolVar(&flags.local, "local", false, "look in the local store only")
	f.BoolVar(&flags.remote, "remote", false, "look in the registry only")
	f.BoolVar(&flags.announcements, "announcements", false, "show what is announced for the tag REF")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

func (f manifestInspectFlags) check(output string) error {
	switch {
	case f.local && f.remote:
		return flagFault("'--local' and '--remote' exclude each other")
	case f.raw && (f.tree || output != ""):
		return flagFault("'--raw' writes the index's own bytes: neither '--tree' nor '--output' go with it")
	}
	return nil
}

func (s *session) inspectManifest(ctx context.Context, given string, flags manifestInspectFlags) error {
	found, err := s.findWhere(ctx, given, flags)
	if err != nil {
		return err
	}
	raw, err := found.artifact.RawManifest()
	if err != nil {
		return err
	}
	if flags.raw || s.globals.output == "" && !flags.tree && terminal(s.app.Out) == nil {
		_, err := s.console.Out().Write(raw)
		return err
	}
	if flags.tree {
		o, err := outline.Of(ctx, found.artifact)
		if err != nil {
			return fmt.Errorf("inspecting '%s': %w", given, err)
		}
		if s.globals.output != "" {
			return s.console.Document(s.globals.output, newTreeDocument(found, o))
		}
		treeText{s.console}.write(found.name(), o)
		return nil
	}
	doc, err := found.document(raw)
	if err != nil {
		return fmt.Errorf("inspecting '%s': %w", given, err)
	}
	if s.globals.output != "" {
		return s.console.Document(s.globals.output, doc)
	}
	s.writeIndex(doc)
	return nil
}

// findWhere opens what LIST|REF names: the list in the store before what the
// registry has, unless the flags say where.
func (s *session) findWhere(ctx context.Context, given string, flags manifestInspectFlags) (found, error) {
	ref, err := parseRef(given)
	if err != nil {
		return found{}, err
	}
	s.trust(flags.insecure, ref)
	switch {
	case flags.remote && ref.Kind != reference.Registry:
		return found{}, fault.New(fault.Usage, "inspecting '%s': it is no name in a registry", given)
	case flags.local:
		tag, err := listName(given)
		if err != nil {
			return found{}, err
		}
		ref = localRef(tag, given)
	case !flags.remote:
		return s.findBy(ctx, given, s.look)
	}
	opened, err := s.look(ctx, ref)
	if err != nil {
		return found{}, err
	}
	return newFound(given, opened), nil
}

// name is the full name of what was found.
func (f found) name() string {
	if f.ref.Name != nil && (f.ref.Kind == reference.Registry || f.ref.Kind == reference.Local) {
		return reference.Canonical(f.ref.Name)
	}
	return f.given
}

// location is where it was found.
func (f found) location() string {
	if f.list != nil {
		return "local store"
	}
	return f.ref.Kind.String()
}

// document describes what was found; raw are its bytes.
func (f found) document(raw []byte) (indexDocument, error) {
	if _, ok := f.artifact.(v1.ImageIndex); ok {
		idx, err := manifest.Parse(raw)
		if err != nil {
			return indexDocument{}, err
		}
		doc, err := newIndexDocument(f.name(), idx, f.origins())
		doc.Location = f.location()
		return doc, err
	}
	e, err := gather.EntryOf(f.artifact)
	if err != nil {
		return indexDocument{}, err
	}
	declared, err := gather.Declared(f.artifact)
	if err != nil {
		return indexDocument{}, err
	}
	d := e.Descriptor
	return indexDocument{
		Name: f.name(), Location: f.location(), Digest: d.Digest.String(), MediaType: string(d.MediaType), Size: d.Size,
		Platform: declared.String(), Entries: []entryDocument{},
	}, nil
}
