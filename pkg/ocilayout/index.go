package ocilayout

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// index implements v1.ImageIndex over a layout. It may be sparse: children
// that the layout does not hold fail when they are asked for.
type index struct {
	layout   *Layout
	desc     v1.Descriptor
	raw      []byte
	manifest *v1.IndexManifest
}

func (l *Layout) openIndex(d v1.Descriptor) (*index, error) {
	raw, err := l.manifestOf(d)
	if err != nil {
		return nil, err
	}
	if _, err := kindOf(d, raw); err != nil {
		return nil, l.blobError(d.Digest, err)
	}
	return l.newIndex(d, raw)
}

func (l *Layout) newIndex(d v1.Descriptor, raw []byte) (*index, error) {
	m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, l.blobError(d.Digest, fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	return &index{layout: l, desc: d, raw: raw, manifest: m}, nil
}

func (i *index) MediaType() (types.MediaType, error)       { return i.desc.MediaType, nil }
func (i *index) Digest() (v1.Hash, error)                  { return i.desc.Digest, nil }
func (i *index) Size() (int64, error)                      { return i.desc.Size, nil }
func (i *index) RawManifest() ([]byte, error)              { return bytes.Clone(i.raw), nil }
func (i *index) IndexManifest() (*v1.IndexManifest, error) { return i.manifest.DeepCopy(), nil }

func (i *index) child(h v1.Hash) (v1.Descriptor, error) {
	for _, d := range i.manifest.Manifests {
		if d.Digest == h {
			return d, nil
		}
	}
	return v1.Descriptor{}, fault.New(fault.NotFound, "looking up '%s' in index '%s' of layout '%s': the index has no such entry", h, i.desc.Digest, i.layout.path)
}

// Image opens the child h.
func (i *index) Image(h v1.Hash) (v1.Image, error) {
	d, err := i.child(h)
	if err != nil {
		return nil, err
	}
	a, err := i.layout.Artifact(d)
	if err != nil {
		return nil, err
	}
	img, ok := a.(v1.Image)
	if !ok {
		return nil, i.layout.blobError(h, fmt.Errorf("it is an index, not an image"))
	}
	return img, nil
}

// ImageIndex opens the nested index h.
func (i *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	d, err := i.child(h)
	if err != nil {
		return nil, err
	}
	a, err := i.layout.Artifact(d)
	if err != nil {
		return nil, err
	}
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		return nil, i.layout.blobError(h, fmt.Errorf("it is an image, not an index"))
	}
	return idx, nil
}

// Layer opens a child that is neither image nor index as a blob.
func (i *index) Layer(h v1.Hash) (v1.Layer, error) {
	d, err := i.child(h)
	if err != nil {
		return nil, err
	}
	return &layer{layout: i.layout, desc: d, diffID: func() (v1.Hash, error) { return d.Digest, nil }}, nil
}
