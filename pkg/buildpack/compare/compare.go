// Package compare tells in what the packages of one platform differ: modules,
// orders, labels, what else is in config and manifest, and files. It is how one
// finds out why a digest changed, so two images with different digests always
// have at least one difference.
package compare

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// Difference is one thing that is not the same.
type Difference struct {
	// What is what inspect.Difference says, or "layer" for one that belongs to no
	// module, "compression" for other bytes of the same content, "layer order",
	// "config" and "manifest" for a key of either, or "encoding" where two
	// documents say the same in other bytes.
	What string `json:"what" yaml:"what" toml:"what"`
	// Module is the id@version it is about, "" for the package as a whole.
	Module string `json:"module,omitempty" yaml:"module,omitempty" toml:"module,omitempty"`
	// Key is the name of the label, or the key of the document.
	Key string `json:"key,omitempty" yaml:"key,omitempty" toml:"key,omitempty"`
	// A and B are what each has, "" where it has nothing.
	A string `json:"a" yaml:"a" toml:"a"`
	B string `json:"b" yaml:"b" toml:"b"`
}

// Result is the comparison of two images.
type Result struct {
	// A and B are the manifests' digests.
	A string `json:"a" yaml:"a" toml:"a"`
	B string `json:"b" yaml:"b" toml:"b"`
	// Differences are in a fixed order: modules, labels, layers, config, manifest.
	Differences []Difference `json:"differences" yaml:"differences" toml:"differences"`
	// Files are by module and path; nil where they were not asked for.
	Files []FileChange `json:"files,omitempty" yaml:"files,omitempty" toml:"files,omitempty"`
}

// Same reports whether the images are one.
func (r Result) Same() bool { return r.A == r.B }

// Images compares two package images. Layers are read only with files, and only
// those of modules whose content differs.
func Images(ctx context.Context, a, b v1.Image, files bool) (Result, error) {
	var r Result
	infos := make([]inspect.Info, 2)
	for i, img := range []v1.Image{a, b} {
		var err error
		if infos[i], err = inspect.Image(img); err != nil {
			return Result{}, err
		}
	}
	r.A, r.B, r.Differences = infos[0].Digest, infos[1].Digest, []Difference{}
	if r.Same() {
		return r, nil
	}
	for _, d := range inspect.Diff(infos[0], infos[1]) {
		r.Differences = append(r.Differences, Difference{What: d.What, Module: d.Module, Key: d.Label, A: d.Values[0], B: d.Values[1]})
	}
	r.Differences = append(r.Differences, layerDifferences(infos[0], infos[1])...)
	shared := map[string]bool{}
	for _, l := range infos[0].Layers {
		_, shared[l.DiffID] = layerOf(infos[1], l.DiffID)
	}
	more, err := documentDifferences(a, b, shared)
	if err != nil {
		return Result{}, err
	}
	r.Differences = append(r.Differences, more...)
	if len(r.Differences) == 0 {
		r.Differences = append(r.Differences, Difference{What: "encoding", A: r.A, B: r.B})
	}
	if files {
		if r.Files, err = fileChanges(ctx, a, b, infos[0], infos[1]); err != nil {
			return Result{}, err
		}
	}
	return r, nil
}

// layerDifferences are those of layers that no module explains: other
// compressions, layers of no module, and the order.
func layerDifferences(a, b inspect.Info) []Difference {
	var out []Difference
	for _, l := range a.Layers {
		other, ok := layerOf(b, l.DiffID)
		switch {
		case !ok && !isModules(a, l.DiffID):
			out = append(out, Difference{What: "layer", A: l.DiffID})
		case ok && other.Digest != l.Digest:
			out = append(out, Difference{What: "compression", Module: moduleOf(a, l.DiffID), Key: l.DiffID, A: l.Digest, B: other.Digest})
		}
	}
	for _, l := range b.Layers {
		if _, ok := layerOf(a, l.DiffID); !ok && !isModules(b, l.DiffID) {
			out = append(out, Difference{What: "layer", B: l.DiffID})
		}
	}
	shared := func(in, other inspect.Info) []string {
		var order []string
		for _, l := range in.Layers {
			if _, ok := layerOf(other, l.DiffID); ok {
				order = append(order, l.DiffID)
			}
		}
		return order
	}
	if x, y := shared(a, b), shared(b, a); !slices.Equal(x, y) {
		out = append(out, Difference{What: "layer order", A: fmt.Sprint(x), B: fmt.Sprint(y)})
	}
	return out
}

func layerOf(in inspect.Info, diffID string) (inspect.Layer, bool) {
	i := slices.IndexFunc(in.Layers, func(l inspect.Layer) bool { return l.DiffID == diffID })
	if i < 0 {
		return inspect.Layer{}, false
	}
	return in.Layers[i], true
}

// moduleOf is the module in a layer, where it is the only one.
func moduleOf(in inspect.Info, diffID string) string {
	name := ""
	for _, m := range in.Modules {
		if m.DiffID == diffID {
			if name != "" {
				return ""
			}
			name = m.FullName()
		}
	}
	return name
}

func isModules(in inspect.Info, diffID string) bool {
	return slices.ContainsFunc(in.Modules, func(m inspect.Module) bool { return m.DiffID == diffID })
}
