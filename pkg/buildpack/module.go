package buildpack

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/tree"
)

// Module is one buildpack or extension on its way into an image.
type Module struct {
	Descriptor Descriptor
	Content    Content
	// From is what messages call the place that the module comes from: the
	// dependency as the user wrote it, "" for the module that is packaged.
	From string
}

// FullName is id@version.
func (m Module) FullName() string { return m.Descriptor.Info.FullName() }

// Content is a tree that is to become a layer, or a layer that exists.
type Content struct {
	// Tree is the module's own root: buildpack.toml, bin/… . Not used where
	// Layer is set.
	Tree tree.Tree
	// Layer is taken over as the very object that it is: its blob is neither
	// unpacked nor compressed again. Modules of a flattened package share one.
	Layer v1.Layer
	// DiffID is Layer's, known from the package's label without reading it.
	DiffID v1.Hash
}
