package buildpack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
)

// dedupe keeps each id@version once, in the place of its first mention. The
// mentions must have one content, else it is a fault.Conflict that names two of
// them. Which mention's layer and descriptor are kept depends on these alone and
// not on the order, so that the image does not depend on it either; the module
// that is packaged, the last one, is kept as it is.
func dedupe(ctx context.Context, modules []Module, os string, o Options) ([]Module, error) {
	mentions := map[string][]int{}
	for i, m := range modules {
		mentions[m.FullName()] = append(mentions[m.FullName()], i)
	}
	if len(mentions) == len(modules) {
		return modules, nil
	}
	var out []Module
	var errs []error
	for i, m := range modules {
		all := mentions[m.FullName()]
		if all[0] != i {
			continue
		}
		if len(all) > 1 {
			var err error
			if m, err = oneOf(ctx, modules, all, os, o); err != nil {
				errs = append(errs, err)
			}
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}

// mention is one of several modules of a name.
type mention struct {
	Module
	// content is the diff id of a layer with this module alone; blob is the digest
	// of the layer that it is in.
	content, blob v1.Hash
	shared        bool
	text          string
}

// oneOf is the one module that several mentions are.
func oneOf(ctx context.Context, modules []Module, at []int, os string, o Options) (Module, error) {
	first := modules[at[0]].Content
	oneLayer := !slices.ContainsFunc(at, func(n int) bool {
		return modules[n].Content.Layer == nil || modules[n].Content.DiffID != first.DiffID
	})
	all := make([]mention, len(at))
	for i, n := range at {
		all[i] = mention{Module: modules[n], content: first.DiffID, shared: sharesLayer(modules[n], modules)}
		if err := all[i].look(ctx, oneLayer, os, o); err != nil {
			return Module{}, err
		}
		if all[i].content != all[0].content {
			return Module{}, conflict(all[0].Module, modules[n])
		}
	}
	if last := len(modules) - 1; at[len(at)-1] == last {
		return modules[last], nil
	}
	// A layer that is there for other modules too saves one of the module's own.
	kept := slices.MinFunc(all, func(a, b mention) int {
		if a.shared != b.shared {
			if a.shared {
				return -1
			}
			return 1
		}
		return strings.Compare(a.blob.String(), b.blob.String())
	}).Module
	kept.Descriptor = slices.MaxFunc(all, func(a, b mention) int {
		return cmp.Or(cmp.Compare(len(a.text), len(b.text)), strings.Compare(a.text, b.text))
	}).Descriptor
	return kept, nil
}

// look fills in what mentions are compared by. Where all are of one layer, that
// says that they are the same.
func (m *mention) look(ctx context.Context, oneLayer bool, os string, o Options) error {
	layer := m.Content.Layer
	if !oneLayer {
		alone := m.Module
		if m.shared {
			t, err := moduleTree(ctx, m.Module, o)
			if err != nil {
				return err
			}
			alone.Content = Content{Tree: t}
		}
		built, err := buildLayer(ctx, alone, os, o.Maker)
		if err != nil {
			return err
		}
		m.content = built.diffID
		if layer == nil {
			layer = built.layer
		}
	}
	var err error
	if m.blob, err = layer.Digest(); err != nil {
		return err
	}
	text, err := json.Marshal(struct {
		LayerInfo
		Extra
	}{layerInfo(m.Descriptor, ""), extraOf(m.Descriptor.Info)})
	m.text = string(text)
	return err
}

// sharesLayer reports whether the module's layer holds others too.
func sharesLayer(m Module, modules []Module) bool {
	return m.Content.Layer != nil && slices.ContainsFunc(modules, func(other Module) bool {
		return other.Content.Layer != nil && other.Content.DiffID == m.Content.DiffID && other.FullName() != m.FullName()
	})
}

func conflict(a, b Module) error {
	return fault.New(fault.Conflict, "collecting the modules of the package: '%s' is in %s and, with another content, in %s", a.FullName(), a.origin(), b.origin())
}

func (m Module) origin() string {
	if m.From == "" {
		return "the buildpack itself"
	}
	return "'" + m.From + "'"
}
