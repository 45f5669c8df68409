package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// lazyImage reads an image's config and layers when they are asked for. It
// keeps the context that it was opened with, because v1.Image has no place for one.
type lazyImage struct {
	client   *Client
	ctx      context.Context
	ref      name.Reference
	got      Manifest
	manifest *v1.Manifest
	config   func() ([]byte, error)
	cache    Cache
}

func (c *Client) image(ctx context.Context, ref name.Reference, m Manifest, cache Cache) (v1.Image, error) {
	parsed, err := v1.ParseManifest(bytes.NewReader(m.Raw))
	if err != nil {
		return nil, fault.New(fault.Failed, "opening %s: its manifest: %w", quote(ref), err)
	}
	core := &lazyImage{client: c, ctx: ctx, ref: ref, got: m, manifest: parsed, cache: cache}
	core.config = sync.OnceValues(core.readConfig)
	img, err := partial.CompressedToImage(core)
	if err != nil {
		return nil, fault.New(fault.Failed, "opening %s: %w", quote(ref), err)
	}
	return &mountableImage{Image: img, ref: ref}, nil
}

func (i *lazyImage) RawManifest() ([]byte, error)        { return i.got.Raw, nil }
func (i *lazyImage) MediaType() (types.MediaType, error) { return i.got.MediaType, nil }
func (i *lazyImage) Digest() (v1.Hash, error)            { return i.got.Digest, nil }
func (i *lazyImage) Manifest() (*v1.Manifest, error)     { return i.manifest, nil }
func (i *lazyImage) RawConfigFile() ([]byte, error)      { return i.config() }
func (i *lazyImage) repo() name.Repository               { return i.ref.Context() }
func (i *lazyImage) blob(d v1.Descriptor) (io.ReadCloser, error) {
	return i.client.blob(i.ctx, i.repo(), d.Digest, d.Size)
}

func (i *lazyImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if h == i.manifest.Config.Digest {
		return &lazyLayer{image: i, desc: i.manifest.Config}, nil
	}
	for _, d := range i.manifest.Layers {
		if d.Digest == h {
			return &lazyLayer{image: i, desc: d}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "opening layer %s of %s: the manifest does not list it", h, quote(i.ref))
}

// lazyLayer is one blob of an image.
type lazyLayer struct {
	image *lazyImage
	desc  v1.Descriptor
}

func (l *lazyLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *lazyLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *lazyLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *lazyLayer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }
func (l *lazyLayer) Exists() (bool, error) {
	return l.image.client.HasBlob(l.image.ctx, l.image.repo(), l.desc.Digest)
}

// DiffID saves what partial computes it from: the layer's content. A config is
// read instead, which every image has.
func (l *lazyLayer) DiffID() (v1.Hash, error) { return partial.BlobToDiffID(l.image, l.desc.Digest) }

func (i *lazyImage) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }

// Compressed streams the blob: from the descriptor itself where it carries the
// content, from the registry, and from the descriptor's URLs where the registry
// may not distribute it (layers of Windows).
func (l *lazyLayer) Compressed() (io.ReadCloser, error) {
	if l.desc.Data != nil {
		return verify(io.NopCloser(bytes.NewReader(l.desc.Data)), l.desc.Digest, l.desc.Size, nil)
	}
	rc, err := l.image.blob(l.desc)
	if err == nil || len(l.desc.URLs) == 0 || !fault.Is(err, fault.NotFound) {
		return rc, err
	}
	errs := []error{err}
	for _, u := range l.desc.URLs {
		rc, err := l.image.client.foreign(l.image.ctx, u, l.desc)
		if err == nil {
			return rc, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// foreign streams a blob from an address outside any registry, without credentials.
func (c *Client) foreign(ctx context.Context, address string, d v1.Descriptor) (io.ReadCloser, error) {
	fail := func(err error) error {
		return fault.New(fault.Failed, "reading blob %s from its own address: %w", d.Digest, wordly(err))
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return nil, fail(fmt.Errorf("not an https address"))
	}
	req, err := http.NewRequestWithContext(withManner(ctx, manner{blob: true}), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fail(err)
	}
	resp, err := (&http.Client{Transport: c.wire}).Do(req)
	if err != nil {
		return nil, fail(err)
	}
	if err := expect(resp, http.StatusOK); err != nil {
		resp.Body.Close()
		return nil, fail(err)
	}
	return verify(resp.Body, d.Digest, d.Size, nil)
}

// mountableImage gives layers the type by which a publisher knows where they
// can be mounted from.
type mountableImage struct {
	v1.Image
	ref name.Reference
}

func (m *mountableImage) mountable(l v1.Layer, err error) (v1.Layer, error) {
	if err != nil {
		return nil, err
	}
	return &remote.MountableLayer{Layer: l, Reference: m.ref}, nil
}

func (m *mountableImage) Layers() ([]v1.Layer, error) {
	plain, err := m.Image.Layers()
	if err != nil {
		return nil, err
	}
	layers := make([]v1.Layer, len(plain))
	for i, l := range plain {
		layers[i] = &remote.MountableLayer{Layer: l, Reference: m.ref}
	}
	return layers, nil
}

func (m *mountableImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	return m.mountable(m.Image.LayerByDigest(h))
}

func (m *mountableImage) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	return m.mountable(m.Image.LayerByDiffID(h))
}

func (m *mountableImage) ConfigLayer() (v1.Layer, error) {
	return m.mountable(partial.ConfigLayer(m.Image))
}

// lazyIndex reads an index's children when they are asked for.
type lazyIndex struct {
	client *Client
	ctx    context.Context
	ref    name.Reference
	got    Manifest
	parsed *v1.IndexManifest
	cache  Cache
}

func (c *Client) index(ctx context.Context, ref name.Reference, m Manifest, cache Cache) (v1.ImageIndex, error) {
	parsed, err := v1.ParseIndexManifest(bytes.NewReader(m.Raw))
	if err != nil {
		return nil, fault.New(fault.Failed, "opening %s: its index: %w", quote(ref), err)
	}
	return &lazyIndex{client: c, ctx: ctx, ref: ref, got: m, parsed: parsed, cache: cache}, nil
}

func (x *lazyIndex) RawManifest() ([]byte, error)              { return x.got.Raw, nil }
func (x *lazyIndex) MediaType() (types.MediaType, error)       { return x.got.MediaType, nil }
func (x *lazyIndex) Digest() (v1.Hash, error)                  { return x.got.Digest, nil }
func (x *lazyIndex) Size() (int64, error)                      { return int64(len(x.got.Raw)), nil }
func (x *lazyIndex) IndexManifest() (*v1.IndexManifest, error) { return x.parsed.DeepCopy(), nil }

// child reads the manifest of a child that the index lists.
func (x *lazyIndex) child(h v1.Hash) (name.Digest, Manifest, error) {
	for _, d := range x.parsed.Manifests {
		if d.Digest == h {
			ref := x.ref.Context().Digest(h.String())
			m, err := x.client.child(x.ctx, ref, d, x.cache)
			return ref, m, err
		}
	}
	return name.Digest{}, Manifest{}, fault.New(fault.NotFound, "opening %s of %s: the index does not list it", h, quote(x.ref))
}

func (x *lazyIndex) Image(h v1.Hash) (v1.Image, error) {
	ref, m, err := x.child(h)
	if err != nil {
		return nil, err
	}
	if m.MediaType.IsIndex() {
		return nil, fault.New(fault.Failed, "opening %s: it is an index, not an image", quote(ref))
	}
	return x.client.image(x.ctx, ref, m, x.cache)
}

func (x *lazyIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	ref, m, err := x.child(h)
	if err != nil {
		return nil, err
	}
	if !m.MediaType.IsIndex() {
		return nil, fault.New(fault.Failed, "opening %s: it is an image, not an index", quote(ref))
	}
	return x.client.index(x.ctx, ref, m, x.cache)
}
