package manifest

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Children gives the manifests that an index points at.
type Children interface {
	// Child gives the artifact with the digest: a v1.Image or a v1.ImageIndex.
	// fault.NotFound where there is none.
	Child(v1.Hash) (Artifact, error)
}

// Bind is an index as go-containerregistry's interface has it: its bytes are
// exactly i's, its children come from c and must have the digests asked for.
func Bind(i Index, c Children) (v1.ImageIndex, error) {
	raw, err := i.Raw()
	if err != nil {
		return nil, err
	}
	d, err := i.Descriptor()
	if err != nil {
		return nil, err
	}
	return &bound{index: i, raw: raw, descriptor: d, children: c}, nil
}

type bound struct {
	index      Index
	raw        []byte
	descriptor v1.Descriptor
	children   Children
}

func (b *bound) MediaType() (types.MediaType, error) { return b.descriptor.MediaType, nil }
func (b *bound) Digest() (v1.Hash, error)            { return b.descriptor.Digest, nil }
func (b *bound) Size() (int64, error)                { return b.descriptor.Size, nil }
func (b *bound) RawManifest() ([]byte, error)        { return append([]byte(nil), b.raw...), nil }

func (b *bound) IndexManifest() (*v1.IndexManifest, error) {
	m := &v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     b.descriptor.MediaType,
		Manifests:     make([]v1.Descriptor, 0, b.index.Len()),
		Annotations:   b.index.Annotations(),
		Subject:       b.index.Subject(),
		ArtifactType:  b.index.ArtifactType(),
	}
	for _, e := range b.index.Entries() {
		m.Manifests = append(m.Manifests, e.Descriptor)
	}
	return m, nil
}

func (b *bound) Image(h v1.Hash) (v1.Image, error) {
	a, err := b.child(h)
	if err != nil {
		return nil, err
	}
	img, ok := a.(v1.Image)
	if !ok {
		return nil, fmt.Errorf("opening image '%s': it is an index", h)
	}
	return img, nil
}

func (b *bound) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	a, err := b.child(h)
	if err != nil {
		return nil, err
	}
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("opening index '%s': it is an image", h)
	}
	return idx, nil
}

func (b *bound) child(h v1.Hash) (Artifact, error) {
	if b.children == nil {
		return nil, fault.New(fault.NotFound, "opening '%s': %w", h, errors.New("the index has no children at hand"))
	}
	a, err := b.children.Child(h)
	if err != nil {
		return nil, err
	}
	got, err := a.Digest()
	if err != nil {
		return nil, fmt.Errorf("opening '%s': %w", h, err)
	}
	if got != h {
		return nil, fmt.Errorf("opening '%s': it has the digest '%s'", h, got)
	}
	return a, nil
}
