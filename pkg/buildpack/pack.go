package buildpack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

// LayerMaker turns trees into layers; pkg/layer has the real one. The same tree
// gives the same layer however often and in whatever order it is asked for.
// All methods may be called at once from several goroutines, and layers stay
// readable until the maker is closed. os is "windows" or any other.
type LayerMaker interface {
	// Module is the layer of one module. kind is "buildpacks" or "extensions".
	Module(ctx context.Context, kind, id, version string, t tree.Tree, os string) (v1.Layer, error)
	// Flat is one layer of several modules, in the order given.
	Flat(ctx context.Context, modules []tree.Module, os string) (v1.Layer, error)
	// WindowsBase is the layer that every Windows image begins with.
	WindowsBase(ctx context.Context) (v1.Layer, error)
}

// Options say how modules become an image.
type Options struct {
	// Maker is required.
	Maker LayerMaker
	// Labels are the user's; those of the package itself win.
	Labels map[string]string
	// Annotations go on the manifest.
	Annotations map[string]string
	// Created is what the config and its history say; zero is pack's constant, DefaultCreated.
	Created time.Time
	// Flatten puts all modules into one layer, but for those in FlattenExclude (id@version).
	Flatten        bool
	FlattenExclude []string
	// Unpack gives the tree of a module that exists only as a layer. Flatten needs
	// it, and the comparison of a module that a flattened package has with the
	// same one from elsewhere; nil makes such a module an error.
	Unpack func(ctx context.Context, m Module) (tree.Tree, error)
	// Jobs bounds the layers and platforms worked on at once; 0 is 4.
	Jobs int
}

// DefaultCreated is the time that pack gives to every package.
var DefaultCreated = time.Unix(315532801, 0).UTC()

const defaultJobs = 4

func (o Options) jobs() int {
	if o.Jobs <= 0 {
		return defaultJobs
	}
	return o.Jobs
}

func (o Options) created() time.Time {
	if o.Created.IsZero() {
		return DefaultCreated
	}
	return o.Created
}

// Pack makes the package image of main and deps for one target. deps are in
// packaging order (each dependency's main module, then its own dependencies), on
// which the flattened layer depends and nothing else; layers are ordered by
// id@version. The same module from two dependencies is taken once; with another
// content it is a fault.Conflict that names both. What Validate finds is an error.
// Nothing is read from layers that exist already, but for what Options.Unpack says.
func Pack(ctx context.Context, main Module, deps []Module, target platform.Target, o Options) (v1.Image, error) {
	if err := Validate(main, deps); err != nil {
		return nil, err
	}
	p := target.Platform.Normalize()
	modules, err := dedupe(ctx, append(slices.Clone(deps), main), p.OS, o)
	if err != nil {
		return nil, err
	}
	built, err := buildLayers(ctx, modules, p.OS, o)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(built, func(a, b builtModule) int { return strings.Compare(a.FullName(), b.FullName()) })
	spec := imageSpec{platform: p, created: o.created(), annotations: o.Annotations}
	if p.OS == "windows" {
		base, err := o.Maker.WindowsBase(ctx)
		if err != nil {
			return nil, err
		}
		diffID, err := base.DiffID()
		if err != nil {
			return nil, err
		}
		spec.add(base, diffID)
	}
	layers := Layers{}
	for _, b := range built {
		spec.add(b.layer, b.diffID)
		info := b.Descriptor.Info
		if layers[info.ID] == nil {
			layers[info.ID] = map[string]LayerInfo{}
		}
		layers[info.ID][info.Version] = layerInfo(b.Descriptor, b.diffID.String())
		if b.FullName() != main.FullName() {
			spec.annotate(b.diffID, b.Descriptor.Info)
		}
	}
	var stacks []Stack
	if main.Descriptor.Kind != KindExtension {
		stacks = resolveStacks(main.Descriptor, deps)
	}
	if spec.labels, err = labels(o.Labels, main.Descriptor, stacks, layers); err != nil {
		return nil, err
	}
	img, err := newImage(spec)
	if err != nil {
		return nil, fault.New(fault.Failed, "packaging '%s' for '%s': %w", main.FullName(), target, err)
	}
	return img, nil
}

// add appends a layer; one that is there already is not repeated.
func (s *imageSpec) add(layer v1.Layer, diffID v1.Hash) {
	if !slices.Contains(s.diffIDs, diffID) {
		s.layers, s.diffIDs = append(s.layers, layer), append(s.diffIDs, diffID)
	}
}

type builtModule struct {
	Module
	layer  v1.Layer
	diffID v1.Hash
}

// buildLayers makes the layers of all modules, several at once, and answers in
// the order of the modules. Every failure is reported.
func buildLayers(ctx context.Context, modules []Module, os string, o Options) ([]builtModule, error) {
	if o.Flatten && len(modules) > 1 {
		return flatten(ctx, modules, os, o)
	}
	out := make([]builtModule, len(modules))
	errs := make([]error, len(modules))
	var group errgroup.Group
	group.SetLimit(o.jobs())
	for i, m := range modules {
		group.Go(func() error {
			out[i], errs[i] = buildLayer(ctx, m, os, o.Maker)
			return nil
		})
	}
	_ = group.Wait()
	return out, errors.Join(errs...)
}

func buildLayer(ctx context.Context, m Module, os string, maker LayerMaker) (builtModule, error) {
	if m.Content.Layer != nil {
		return builtModule{Module: m, layer: m.Content.Layer, diffID: m.Content.DiffID}, nil
	}
	info := m.Descriptor.Info
	layer, err := maker.Module(ctx, layerFolder(m.Descriptor.Kind), info.ID, info.Version, m.Content.Tree, os)
	if err != nil {
		return builtModule{}, fmt.Errorf("making the layer of '%s': %w", m.FullName(), err)
	}
	diffID, err := layer.DiffID()
	if err != nil {
		return builtModule{}, fmt.Errorf("making the layer of '%s': %w", m.FullName(), err)
	}
	return builtModule{Module: m, layer: layer, diffID: diffID}, nil
}

// layerFolder is the folder below /cnb that modules of a kind stand in.
func layerFolder(kind string) string { return kind + "s" }

// PlatformBuild is one platform's part of a package: the target and what goes into its image.
type PlatformBuild struct {
	Target platform.Target
	Main   Module
	Deps   []Module
}

// PlatformImage is one packaged platform. Descriptor is the image's entry in an
// index: it names the platform, in OCI's spelling and normalised (arm64 without
// variant), and carries the annotations.
type PlatformImage struct {
	Target     platform.Target
	Image      v1.Image
	Descriptor v1.Descriptor
}

// PackAll packs every platform, several at once, and answers in the order of
// builds. All failures are reported in that order, those that platforms share once.
func PackAll(ctx context.Context, builds []PlatformBuild, o Options) ([]PlatformImage, error) {
	if err := ValidateAll(builds); err != nil {
		return nil, err
	}
	out := make([]PlatformImage, len(builds))
	errs := make([]error, len(builds))
	var group errgroup.Group
	group.SetLimit(o.jobs())
	for i, b := range builds {
		group.Go(func() error {
			out[i], errs[i] = packPlatform(ctx, b, o)
			return nil
		})
	}
	_ = group.Wait()
	if err := distinct(errs); err != nil {
		return nil, err
	}
	return out, nil
}

// distinct joins errors, of those with one text the first.
func distinct(errs []error) error {
	var out []error
	told := map[string]bool{}
	for _, err := range errs {
		if err != nil && !told[err.Error()] {
			told[err.Error()] = true
			out = append(out, err)
		}
	}
	return errors.Join(out...)
}

func packPlatform(ctx context.Context, b PlatformBuild, o Options) (PlatformImage, error) {
	img, err := Pack(ctx, b.Main, b.Deps, b.Target, o)
	if err != nil {
		return PlatformImage{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return PlatformImage{}, err
	}
	size, err := img.Size()
	if err != nil {
		return PlatformImage{}, err
	}
	mediaType, err := img.MediaType()
	if err != nil {
		return PlatformImage{}, err
	}
	return PlatformImage{Target: b.Target, Image: img, Descriptor: v1.Descriptor{
		MediaType: mediaType, Size: size, Digest: digest,
		Platform: b.Target.Platform.Normalize().V1(), Annotations: maps.Clone(o.Annotations),
	}}, nil
}
