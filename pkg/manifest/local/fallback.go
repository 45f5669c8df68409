package local

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// fallback is where to look for what the store does not hold of one entry and
// of everything below it.
type fallback struct {
	children *Children
	from     []name.Repository
}

// instead opens a manifest in the registry that the store does not hold; err
// is why it does not.
func (f *fallback) instead(h v1.Hash, err error) (manifest.Artifact, error) {
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if len(f.from) == 0 {
		return nil, nowhere(h, err)
	}
	return f.open(h)
}

// open opens a manifest in the first of the repositories that has it.
func (f *fallback) open(h v1.Hash) (manifest.Artifact, error) {
	var errs []error
	for _, repo := range f.from {
		ref := repo.Digest(h.String())
		got, err := f.children.registry.Open(f.children.ctx, ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a, ok := got.(manifest.Artifact)
		if !ok {
			return nil, fault.New(fault.Failed, "opening '%s': it is neither an image nor an index", ref)
		}
		return a, nil
	}
	return nil, errors.Join(errs...)
}

// wrap gives what the store holds of h the layers that it does not hold.
func (f *fallback) wrap(h v1.Hash, a manifest.Artifact) (manifest.Artifact, error) {
	switch a := a.(type) {
	case v1.ImageIndex:
		return &index{imageIndex: a, fallback: f}, nil
	case v1.Image:
		m, err := a.Manifest()
		if err != nil {
			return nil, err
		}
		return &image{Image: a, fallback: f, manifest: m, remote: sync.OnceValues(func() (v1.Image, error) {
			other, err := f.open(h)
			if err != nil {
				return nil, err
			}
			img, ok := other.(v1.Image)
			if !ok {
				return nil, fault.New(fault.Failed, "opening '%s': it is an index, not an image", h)
			}
			return img, nil
		})}, nil
	default:
		return nil, fmt.Errorf("opening '%s': %T is neither an image nor an index", h, a)
	}
}

// index is an index within a list. It says of itself what the store holds.
type index struct {
	imageIndex
	fallback *fallback
}

// Image opens the image h, in the store or in the registry.
func (x *index) Image(h v1.Hash) (v1.Image, error) {
	img, err := x.imageIndex.Image(h)
	a, err := x.child(h, img, err)
	if err != nil {
		return nil, err
	}
	if img, ok := a.(v1.Image); ok {
		return img, nil
	}
	return nil, fault.New(fault.Failed, "opening image '%s': it is an index", h)
}

// ImageIndex opens the index h, in the store or in the registry.
func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	idx, err := x.imageIndex.ImageIndex(h)
	a, err := x.child(h, idx, err)
	if err != nil {
		return nil, err
	}
	if idx, ok := a.(v1.ImageIndex); ok {
		return idx, nil
	}
	return nil, fault.New(fault.Failed, "opening index '%s': it is an image", h)
}

func (x *index) child(h v1.Hash, a manifest.Artifact, err error) (manifest.Artifact, error) {
	if err != nil {
		return x.fallback.instead(h, err)
	}
	return x.fallback.wrap(h, a)
}

// image is an image whose manifest the store holds.
type image struct {
	v1.Image
	fallback *fallback
	manifest *v1.Manifest
	remote   func() (v1.Image, error)
}

// has reports whether the store holds the blob, or nobody else can be asked.
func (i *image) has(h v1.Hash) bool {
	_, ok := i.fallback.children.list.HasBlob(h)
	return ok || len(i.fallback.from) == 0
}

// RawConfigFile implements v1.Image.
func (i *image) RawConfigFile() ([]byte, error) {
	if i.has(i.manifest.Config.Digest) {
		return i.Image.RawConfigFile()
	}
	img, err := i.remote()
	if err != nil {
		return nil, err
	}
	return img.RawConfigFile()
}

// ConfigFile implements v1.Image.
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }

// Layers implements v1.Image.
func (i *image) Layers() ([]v1.Layer, error) {
	layers, err := i.Image.Layers()
	if err != nil {
		return nil, err
	}
	for n, l := range layers {
		layers[n] = i.layer(l, i.manifest.Layers[n])
	}
	return layers, nil
}

// LayerByDigest implements v1.Image.
func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	for _, d := range i.manifest.Layers {
		if d.Digest != h {
			continue
		}
		l, err := i.Image.LayerByDigest(h)
		if err != nil {
			return nil, err
		}
		return i.layer(l, d), nil
	}
	return i.Image.LayerByDigest(h)
}

// LayerByDiffID implements v1.Image.
func (i *image) LayerByDiffID(diffID v1.Hash) (v1.Layer, error) {
	h, err := partial.DiffIDToBlob(i, diffID)
	if err != nil {
		return nil, err
	}
	return i.LayerByDigest(h)
}

func (i *image) layer(l v1.Layer, d v1.Descriptor) v1.Layer {
	return i.mountable(&layer{Layer: l, image: i, desc: d})
}

// mountable tells publishers where the layer can be mounted from.
func (i *image) mountable(l v1.Layer) v1.Layer {
	if len(i.fallback.from) == 0 {
		return l
	}
	h, err := i.Digest()
	if err != nil {
		return l
	}
	return &remote.MountableLayer{Layer: l, Reference: i.fallback.from[0].Digest(h.String())}
}

// layer is a layer whose content may be in the registry only.
type layer struct {
	v1.Layer
	image *image
	desc  v1.Descriptor
}

// Descriptor gives the layer's descriptor as the manifest has it.
func (l *layer) Descriptor() (*v1.Descriptor, error) { return l.desc.DeepCopy(), nil }

// Compressed implements v1.Layer.
func (l *layer) Compressed() (io.ReadCloser, error) {
	if rc := l.direct(); rc != nil {
		return rc, nil
	}
	from, err := l.holder()
	if err != nil {
		return nil, err
	}
	return from.Compressed()
}

// Uncompressed implements v1.Layer.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	from, err := l.holder()
	if err != nil {
		return nil, err
	}
	return from.Uncompressed()
}

// DiffID implements v1.Layer; it comes from the image's config.
func (l *layer) DiffID() (v1.Hash, error) { return partial.BlobToDiffID(l.image, l.desc.Digest) }

// holder is the layer where its content is.
func (l *layer) holder() (v1.Layer, error) {
	if l.image.has(l.desc.Digest) {
		return l.Layer, nil
	}
	img, err := l.image.remote()
	if err != nil {
		return nil, err
	}
	return img.LayerByDigest(l.desc.Digest)
}
