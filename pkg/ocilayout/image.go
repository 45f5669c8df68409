package ocilayout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// Artifact opens what d describes: a v1.Image or a v1.ImageIndex. Its manifest
// is read and verified now, its config, layers and children when asked for.
// A manifest that the layout does not hold is a fault.NotFound that says which.
func (l *Layout) Artifact(d v1.Descriptor) (manifest.Artifact, error) {
	if d.MediaType.IsIndex() {
		idx, err := l.openIndex(d)
		if err != nil {
			return nil, err
		}
		return idx, nil
	}
	if d.MediaType.IsSchema1() {
		return nil, l.blobError(d.Digest, fmt.Errorf("manifests of type '%s' are not supported", d.MediaType))
	}
	raw, err := l.manifestOf(d)
	if err != nil {
		return nil, err
	}
	mt, err := kindOf(d, raw)
	if err != nil {
		return nil, l.blobError(d.Digest, err)
	}
	d.MediaType = mt
	if mt.IsIndex() {
		return l.newIndex(d, raw)
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, l.blobError(d.Digest, fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	img := &image{layout: l, desc: d, raw: raw, manifest: m}
	img.config = sync.OnceValues(func() ([]byte, error) { return l.document(m.Config.Digest, m.Config.Size) })
	return img, nil
}

// manifestOf reads d's manifest.
func (l *Layout) manifestOf(d v1.Descriptor) ([]byte, error) {
	if rc, _, err := l.files.open(blobName(d.Digest)); errors.Is(err, fs.ErrNotExist) {
		what := "'" + d.Digest.String() + "'"
		if p := platform.FromV1(d.Platform); !p.IsZero() {
			what += " for " + p.String()
		}
		return nil, fault.New(fault.NotFound, "reading manifest %s of layout '%s': the layout names it but does not hold it", what, l.path)
	} else if err == nil {
		rc.Close()
	}
	return l.document(d.Digest, d.Size)
}

// kindOf is the media type of the manifest raw, from its descriptor, else from
// its own words. Where the two disagree on what it is, no consumer could know
// which was signed or checked by others: that is an error (the ambiguity that
// the OCI distribution specification warns of).
func kindOf(d v1.Descriptor, raw []byte) (types.MediaType, error) {
	var probe struct {
		MediaType types.MediaType   `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
		Layers    []json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(raw, &probe); err != nil {
		return "", fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	mt := d.MediaType
	switch {
	case mt == "" && probe.MediaType != "":
		mt = probe.MediaType
	case mt == "" && probe.Manifests != nil:
		mt = types.OCIImageIndex
	case mt == "":
		mt = types.OCIManifestSchema1
	}
	if probe.MediaType != "" && probe.MediaType != mt {
		return "", fmt.Errorf("%w: it says to be '%s', its descriptor '%s'", ErrCorrupt, probe.MediaType, mt)
	}
	if probe.Manifests != nil && probe.Layers != nil {
		return "", fmt.Errorf("%w: it is a manifest and an index at once", ErrCorrupt)
	}
	if !mt.IsImage() && !mt.IsIndex() {
		return "", fmt.Errorf("'%s' is neither an image manifest nor an index", mt)
	}
	return mt, nil
}

// image implements v1.Image over a layout.
type image struct {
	layout   *Layout
	desc     v1.Descriptor
	raw      []byte
	manifest *v1.Manifest
	config   func() ([]byte, error)
}

func (i *image) MediaType() (types.MediaType, error)       { return i.desc.MediaType, nil }
func (i *image) Size() (int64, error)                      { return i.desc.Size, nil }
func (i *image) Digest() (v1.Hash, error)                  { return i.desc.Digest, nil }
func (i *image) RawManifest() ([]byte, error)              { return bytes.Clone(i.raw), nil }
func (i *image) Manifest() (*v1.Manifest, error)           { return i.manifest.DeepCopy(), nil }
func (i *image) ConfigName() (v1.Hash, error)              { return i.manifest.Config.Digest, nil }
func (i *image) RawConfigFile() ([]byte, error)            { return i.config() }
func (i *image) ConfigFile() (*v1.ConfigFile, error)       { return partial.ConfigFile(i) }
func (i *image) ConfigLayer() (v1.Layer, error)            { return partial.ConfigLayer(i) }
func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return i.byDiffID(h) }
func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) { return i.byDigest(h) }
func (i *image) byDiffID(diffID v1.Hash) (v1.Layer, error) {
	h, err := partial.DiffIDToBlob(i, diffID)
	if err != nil {
		return nil, err
	}
	return i.byDigest(h)
}

func (i *image) byDigest(h v1.Hash) (v1.Layer, error) {
	for n, d := range i.manifest.Layers {
		if d.Digest == h {
			return i.layer(n), nil
		}
	}
	if h == i.manifest.Config.Digest {
		return partial.ConfigLayer(i)
	}
	return nil, fault.New(fault.NotFound, "looking up layer '%s' of image '%s' in layout '%s': the image has no such layer", h, i.desc.Digest, i.layout.path)
}

func (i *image) Layers() ([]v1.Layer, error) {
	out := make([]v1.Layer, len(i.manifest.Layers))
	for n := range out {
		out[n] = i.layer(n)
	}
	return out, nil
}

func (i *image) layer(n int) v1.Layer {
	return &layer{layout: i.layout, desc: i.manifest.Layers[n], diffID: func() (v1.Hash, error) {
		c, err := i.ConfigFile()
		if err != nil {
			return v1.Hash{}, err
		}
		if n >= len(c.RootFS.DiffIDs) {
			return v1.Hash{}, i.layout.blobError(i.manifest.Config.Digest,
				fmt.Errorf("%w: the config lists %d layers, the manifest %d", ErrCorrupt, len(c.RootFS.DiffIDs), len(i.manifest.Layers)))
		}
		return c.RootFS.DiffIDs[n], nil
	}}
}
