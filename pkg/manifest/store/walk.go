package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxDepth bounds indexes within indexes; real ones have one or two levels.
const maxDepth = 16

// walker follows manifests through the blobs of one list.
type walker struct {
	s       *Store
	dir     string
	visit   func(v1.Hash) // every blob that something points at
	missing func(v1.Hash) // those that are not there
	depth   int
}

// pointers are the fields of manifests and indexes that point at blobs.
type pointers struct {
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

// walk visits the manifest or index h and all that it points at. Only a
// manifest that is there and cannot be read is an error.
func (w walker) walk(h v1.Hash) error {
	if w.depth++; w.depth > maxDepth {
		return fmt.Errorf("'%s' lies too deep in other indexes", h)
	}
	w.visit(h)
	raw, err := w.s.o.FS.ReadFile(blobPath(w.dir, h))
	if errors.Is(err, fs.ErrNotExist) {
		w.missing(h)
		return nil
	}
	if err != nil {
		return err
	}
	p, err := decodePointers(raw)
	if err != nil {
		return fmt.Errorf("'%s' cannot be read: %w", blobPath(w.dir, h), err)
	}
	for _, m := range p.Manifests {
		if err := w.walk(m.Digest); err != nil {
			return err
		}
	}
	blobs := p.Layers
	if p.Config != nil {
		blobs = append(blobs, *p.Config)
	}
	for _, b := range blobs {
		w.visit(b.Digest)
		if _, err := os.Stat(blobPath(w.dir, b.Digest)); err != nil {
			w.missing(b.Digest)
		}
	}
	return nil
}
