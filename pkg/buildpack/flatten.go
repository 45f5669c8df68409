package buildpack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// flatten makes one layer of all modules that are not excluded, in packaging
// order with the packaged one last, and a layer of its own for each of the others.
func flatten(ctx context.Context, modules []Module, os string, o Options) ([]builtModule, error) {
	if err := checkExcluded(o.FlattenExclude, modules); err != nil {
		return nil, err
	}
	var err error
	var together []tree.Module
	for _, m := range modules {
		if slices.Contains(o.FlattenExclude, m.FullName()) {
			continue
		}
		t, err := moduleTree(ctx, m, o)
		if err != nil {
			return nil, err
		}
		info := m.Descriptor.Info
		together = append(together, tree.Module{Kind: layerFolder(m.Descriptor.Kind), ID: info.ID, Version: info.Version, Tree: t})
	}
	var flat v1.Layer
	var diffID v1.Hash
	if len(together) > 0 {
		if flat, err = o.Maker.Flat(ctx, together, os); err != nil {
			return nil, fmt.Errorf("making the flattened layer: %w", err)
		}
		if diffID, err = flat.DiffID(); err != nil {
			return nil, fmt.Errorf("making the flattened layer: %w", err)
		}
	}
	out := make([]builtModule, len(modules))
	for i, m := range modules {
		if !slices.Contains(o.FlattenExclude, m.FullName()) {
			out[i] = builtModule{Module: m, layer: flat, diffID: diffID}
			continue
		}
		if out[i], err = buildExcluded(ctx, m, modules, os, o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// buildExcluded keeps an existing layer only where no other module is in it.
func buildExcluded(ctx context.Context, m Module, all []Module, os string, o Options) (builtModule, error) {
	if sharesLayer(m, all) {
		t, err := moduleTree(ctx, m, o)
		if err != nil {
			return builtModule{}, err
		}
		m.Content = Content{Tree: t}
	}
	return buildLayer(ctx, m, os, o.Maker)
}

func moduleTree(ctx context.Context, m Module, o Options) (tree.Tree, error) {
	if m.Content.Layer == nil {
		return m.Content.Tree, nil
	}
	if o.Unpack == nil {
		return tree.Tree{}, fault.New(fault.Failed, "flattening '%s': it exists only as a layer", m.FullName())
	}
	t, err := o.Unpack(ctx, m)
	if err != nil {
		return tree.Tree{}, fmt.Errorf("flattening '%s': %w", m.FullName(), err)
	}
	return t, nil
}

func checkExcluded(names []string, modules []Module) error {
	for _, name := range names {
		if strings.Count(name, "@") != 1 {
			return fault.New(fault.Usage, "reading the modules not to flatten: '%s' is no id@version", name)
		}
		if !slices.ContainsFunc(modules, func(m Module) bool { return m.FullName() == name }) {
			return fault.New(fault.NotFound, "reading the modules not to flatten: the package has no module '%s'", name)
		}
	}
	return nil
}
