package commands

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack/compare"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/source"
)

// packageDiffFlags are the flags of `buildpack diff` and `extension diff`.
type packageDiffFlags struct {
	platforms []string
	files     bool
	insecure  bool
}

func newPackageDiff(s *session, m module) *cobra.Command {
	var flags packageDiffFlags
	cmd := documents(&cobra.Command{
		Use:   "diff A B",
		Short: fmt.Sprintf("Show what differs between two packaged %ss", m.word),
		Long: fmt.Sprintf(`Show, for each platform, what of %s is not the same in A and in B: modules, orders, labels, layers, what else config and manifest say,
and with --files the files. It is how to find out why a digest changed: where digests differ, something is named.

A and B are references of any kind; a plain image is one platform. Layers are read with --files only, and only of modules whose content differs.
The exit code is 6 when anything differs.`, m.article()),
		Example: fmt.Sprintf(`  multipack %[1]s diff ghcr.io/acme/bp:1.2.0 ghcr.io/acme/bp:1.2.1 --files
  multipack %[1]s diff bp-linux-amd64.cnb ghcr.io/acme/bp:1.2.0 --platform linux/amd64 -o json`, m.word),
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.diffPackages(cmd.Context(), given, flags)
		},
	})
	f := cmd.Flags()
	f.StringArrayVar(&flags.platforms, "platform", nil, "`platform` to compare, os/arch[/variant][:osversion], which both must have (repeatable; default: all)")
	f.BoolVar(&flags.files, "files", false, "read the layers that differ and name the files")
	f.BoolVar(&flags.insecure, "insecure", false, "the registries of A and B may use plain HTTP or an unverified certificate")
	return cmd
}

// packageSide is one of the packages that are compared.
type packageSide struct {
	sideDocument
	artifact manifest.Artifact
	images   []source.PlatformImage
}

// packageDiff is -o json of `buildpack diff` and `buildpack verify`.
type packageDiff struct {
	A     sideDocument `json:"a"`
	B     sideDocument `json:"b"`
	Equal bool         `json:"equal"`
	// Index are the fields of the indexes that differ.
	Index     []string              `json:"index"`
	Platforms []packagePlatformDiff `json:"platforms"`
	Error     *errorBody            `json:"error,omitempty"`
}

// packagePlatformDiff is one platform of it; a and b are "" for the side that
// does not have the platform.
type packagePlatformDiff struct {
	Platform string `json:"platform"`
	Equal    bool   `json:"equal"`
	compare.Result
}

func (s *session) diffPackages(ctx context.Context, given []string, flags packageDiffFlags) error {
	want, err := platform.ParseList(flags.platforms, platform.Local())
	if err != nil {
		return err
	}
	sides := make([]packageSide, len(given))
	for _, name := range given {
		ref, err := parseRef(name)
		if err != nil {
			return err
		}
		s.trust(flags.insecure, ref)
	}
	for i, name := range given {
		if sides[i], err = s.side(ctx, name, want); err != nil {
			return err
		}
	}
	doc, err := comparePackages(ctx, sides[0], sides[1], flags.files)
	if err != nil {
		return fmt.Errorf("comparing '%s' with '%s': %w", given[0], given[1], err)
	}
	if want.IsZero() {
		doc.compareIndexes(sides[0], sides[1])
	}
	if !doc.Equal {
		err = fault.New(fault.Check, "comparing '%s' with '%s': they differ", given[0], given[1])
		if !flags.files && doc.layersDiffer() {
			err = fault.Hint(err, "add '--files' to see which files")
		}
	}
	return s.showPackageDiff(doc, err)
}

// layersDiffer reports whether a module's content is another one.
func (d *packageDiff) layersDiffer() bool {
	return slices.ContainsFunc(d.Platforms, func(p packagePlatformDiff) bool {
		return slices.ContainsFunc(p.Differences, func(d compare.Difference) bool { return d.What == "layer" && d.Module != "" })
	})
}

// side opens one of the packages, for the platforms that are wanted.
func (s *session) side(ctx context.Context, given string, want platform.List) (packageSide, error) {
	ref, err := parseRef(given)
	if err != nil {
		return packageSide{}, err
	}
	opened, err := s.look(ctx, ref)
	if err != nil {
		return packageSide{}, err
	}
	digest, err := opened.Artifact.Digest()
	if err != nil {
		return packageSide{}, fmt.Errorf("reading '%s': %w", given, err)
	}
	list, err := source.List(ctx, opened)
	if err != nil {
		return packageSide{}, err
	}
	at, err := matching("reading '"+given+"'", list.Platforms(), want)
	if err != nil {
		return packageSide{}, err
	}
	images, err := list.Open(ctx, at...)
	return packageSide{sideDocument{ref.Display(), digest.String()}, opened.Artifact, images}, err
}

// comparePackages compares platform by platform, in the order of a, then of b.
// Two single images are compared whatever their platforms.
func comparePackages(ctx context.Context, a, b packageSide, files bool) (packageDiff, error) {
	doc := packageDiff{A: a.sideDocument, B: b.sideDocument, Equal: true, Index: []string{}, Platforms: []packagePlatformDiff{}}
	paired := map[int]bool{}
	for _, img := range a.images {
		at := slices.IndexFunc(b.images, func(o source.PlatformImage) bool { return o.Platform == img.Platform })
		if at < 0 && len(a.images) == 1 && len(b.images) == 1 {
			at = 0
		}
		if at < 0 {
			doc.add(img.Platform, compare.Result{A: img.Descriptor.Digest.String()})
			continue
		}
		paired[at] = true
		result, err := compare.Images(ctx, img.Image, b.images[at].Image, files)
		if err != nil {
			return doc, fmt.Errorf("platform '%s': %w", img.Platform, err)
		}
		doc.add(img.Platform, result)
	}
	for i, img := range b.images {
		if !paired[i] {
			doc.add(img.Platform, compare.Result{B: img.Descriptor.Digest.String()})
		}
	}
	return doc, nil
}

func (d *packageDiff) add(p platform.Platform, r compare.Result) {
	if r.Differences == nil {
		r.Differences = []compare.Difference{}
	}
	d.Platforms = append(d.Platforms, packagePlatformDiff{Platform: p.String(), Equal: r.Same(), Result: r})
	d.Equal = d.Equal && r.Same()
}

// compareIndexes compares what indexes say beside their images.
func (d *packageDiff) compareIndexes(a, b packageSide) {
	if a.Digest == b.Digest {
		return
	}
	var index [2]manifest.Index
	for i, side := range []packageSide{a, b} {
		if _, ok := side.artifact.(v1.ImageIndex); !ok {
			return // one platform's image alone is as good as an index of it
		}
		raw, err := side.artifact.RawManifest()
		if err == nil {
			index[i], err = manifest.Parse(raw)
		}
		if err != nil {
			d.Index = append(d.Index, err.Error())
		}
	}
	diff := manifest.Diff(index[0], index[1])
	d.Index = append(d.Index, diff.Fields...)
	if diff.Reordered {
		d.Index = append(d.Index, "order of the entries")
	}
	for _, c := range diff.Changed {
		for _, field := range c.Fields {
			if field != "digest" && field != "size" {
				d.Index = append(d.Index, fmt.Sprintf("%s of the entry for %s", field, kindText(c.Old)))
			}
		}
	}
	d.Equal = d.Equal && len(d.Index) == 0
}
