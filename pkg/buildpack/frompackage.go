package buildpack

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// Package is what a packaged buildpack or extension holds.
type Package struct {
	Kind     string
	Metadata Metadata
	// Platform is what the image's config says, normalised.
	Platform platform.Platform
	// Main is the module that the package is named after.
	Main Module
	// Deps are the others, by id and version.
	Deps []Module
}

// Modules are the package's modules in packaging order: main first.
func (p Package) Modules() []Module { return append([]Module{p.Main}, p.Deps...) }

// From names the place that the package comes from in its modules.
func (p Package) From(name string) Package {
	p.Main.From = name
	p.Deps = slices.Clone(p.Deps)
	for i := range p.Deps {
		p.Deps[i].From = name
	}
	return p
}

// FromImage reads a package image's labels and gives its modules with their
// layers, which are not opened. A missing label is a fault.NotFound that names
// it; a module whose layer is not in the image is an error.
func FromImage(img v1.Image) (Package, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return Package{}, fmt.Errorf("reading a package's config: %w", err)
	}
	kind, metadata, entries, err := ReadLabels(config.Config.Labels)
	if err != nil {
		return Package{}, err
	}
	p := Package{Kind: kind, Metadata: metadata, Platform: platform.FromConfig(config).Normalize()}
	layers, err := layersByDiffID(img, config)
	if err != nil {
		return Package{}, err
	}
	extras, err := extrasOf(img)
	if err != nil {
		return Package{}, fault.New(fault.Failed, "reading package '%s': %w", metadata.FullName(), err)
	}
	var errs []error
	foundMain := false
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		for _, version := range slices.Sorted(maps.Keys(entries[id])) {
			m, err := moduleFrom(p.Kind, id, version, entries[id][version], layers)
			extras[id][version].into(&m.Descriptor.Info)
			switch {
			case err != nil:
				errs = append(errs, err)
			case id == p.Metadata.ID && version == p.Metadata.Version:
				m.Descriptor.Info = p.Metadata.ModuleInfo
				p.Main, foundMain = m, true
			default:
				p.Deps = append(p.Deps, m)
			}
		}
	}
	if len(errs) == 0 && !foundMain {
		errs = append(errs, fmt.Errorf("label '%s' has no '%s', which label '%s' names", LayersLabel(p.Kind), p.Metadata.FullName(), MetadataLabel))
	}
	if len(errs) > 0 {
		return Package{}, fault.New(fault.Failed, "reading package '%s': %w", p.Metadata.FullName(), errors.Join(errs...))
	}
	return p, nil
}

func extrasOf(img v1.Image) (Extras, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading its manifest: %w", err)
	}
	return ReadExtras(m)
}

// ReadLabels gives a package's kind, its metadata and its modules from an
// image's labels. A missing label is a fault.NotFound that names it.
func ReadLabels(all map[string]string) (kind string, metadata Metadata, layers Layers, err error) {
	found, err := readLabel(all, MetadataLabel, &metadata)
	if err != nil {
		return "", Metadata{}, nil, fault.New(fault.Failed, "reading a package: %w", err)
	}
	if !found {
		return "", Metadata{}, nil, fault.New(fault.NotFound, "reading a package: could not find label '%s'", MetadataLabel)
	}
	for _, kind := range []string{KindBuildpack, KindExtension} {
		found, err := readLabel(all, LayersLabel(kind), &layers)
		if err != nil {
			return "", Metadata{}, nil, fault.New(fault.Failed, "reading package '%s': %w", metadata.FullName(), err)
		}
		if found {
			return kind, metadata, layers, nil
		}
	}
	return "", Metadata{}, nil, fault.New(fault.NotFound, "reading package '%s': could not find label '%s'", metadata.FullName(), BuildpackLayersLabel)
}

func layersByDiffID(img v1.Image, config *v1.ConfigFile) (map[string]v1.Layer, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("reading a package's layers: %w", err)
	}
	diffIDs := config.RootFS.DiffIDs
	if len(layers) != len(diffIDs) {
		return nil, fault.New(fault.Failed, "reading a package's layers: its config lists %d, its manifest %d", len(diffIDs), len(layers))
	}
	out := make(map[string]v1.Layer, len(layers))
	for i, h := range diffIDs {
		if _, ok := out[h.String()]; !ok {
			out[h.String()] = layers[i]
		}
	}
	return out, nil
}

func moduleFrom(kind, id, version string, info LayerInfo, layers map[string]v1.Layer) (Module, error) {
	name := fullName(id, version)
	for _, part := range []string{id, version} {
		if err := checkPathPart(part); err != nil {
			return Module{}, fmt.Errorf("label '%s': %w", LayersLabel(kind), err)
		}
	}
	d, err := info.descriptor(kind, id, version)
	if err != nil {
		return Module{}, fmt.Errorf("module '%s': %w", name, err)
	}
	layer, ok := layers[info.LayerDiffID]
	if !ok {
		return Module{}, fmt.Errorf("module '%s': its layer '%s' is not in the image", name, info.LayerDiffID)
	}
	diffID, err := v1.NewHash(info.LayerDiffID)
	if err != nil {
		return Module{}, fmt.Errorf("module '%s': %w", name, err)
	}
	return Module{Descriptor: d, Content: Content{Layer: layer, DiffID: diffID}}, nil
}
