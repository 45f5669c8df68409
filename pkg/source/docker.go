package source

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
	"github.com/multipack/multipack/pkg/reference"
)

// maxConfig bounds manifest.json and configs.
const maxConfig = 64 << 20

// savedImage is one element of a docker archive's manifest.json.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// openDockerArchive opens one image of a docker archive. It has no manifest of
// its own, so one is made: OCI, the config byte for byte (its digest stays the
// image's ID), layers as they are or as Deps.Gzip makes them. Layers are
// verified against the config's diff IDs while they are read.
func (d *dispatcher) openDockerArchive(ctx context.Context, r reference.Ref, t *tarfile.File) (manifest.Artifact, func() error, error) {
	img, spool, err := d.readDockerArchive(ctx, r, t)
	if err != nil {
		spool.remove()
		t.Close()
		return nil, nil, err
	}
	return img, func() error {
		spool.remove()
		return t.Close()
	}, nil
}

func (d *dispatcher) readDockerArchive(ctx context.Context, r reference.Ref, t *tarfile.File) (v1.Image, *spool, error) {
	sp := &spool{}
	images, err := savedImages(r, t)
	if err != nil {
		return nil, sp, err
	}
	saved, err := chooseSaved(r, images)
	if err != nil {
		return nil, sp, err
	}
	img, err := d.savedImage(ctx, r, t, saved, sp)
	return img, sp, err
}

// savedImages are those that manifest.json names.
func savedImages(r reference.Ref, t *tarfile.File) ([]savedImage, error) {
	raw, err := t.ReadFile("manifest.json", maxConfig)
	var images []savedImage
	if err == nil {
		err = json.Unmarshal(raw, &images)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "opening '%s': reading 'manifest.json': %w", r, err)
	}
	return images, nil
}

// savedImage makes one image; what it compresses goes to the spool.
func (d *dispatcher) savedImage(ctx context.Context, r reference.Ref, t *tarfile.File, saved savedImage, sp *spool) (v1.Image, error) {
	config, cf, err := savedConfig(t, saved)
	if err != nil {
		return nil, fault.New(fault.Failed, "opening '%s': reading config '%s': %w", r, saved.Config, err)
	}
	if len(cf.RootFS.DiffIDs) != len(saved.Layers) {
		return nil, fault.New(fault.Failed, "opening '%s': the config has %d layers, the archive %d", r, len(cf.RootFS.DiffIDs), len(saved.Layers))
	}
	layers, err := savedLayers(ctx, t, saved.Layers, cf.RootFS.DiffIDs)
	if err == nil && d.deps.Gzip != nil {
		err = sp.compress(ctx, layers, d.deps.Gzip)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "opening '%s': %w", r, err)
	}
	img, err := newSavedImage(config, layers)
	if err != nil {
		return nil, fault.New(fault.Failed, "opening '%s': %w", r, err)
	}
	return img, nil
}

// chooseSaved finds the image that r names; without a name the only one.
func chooseSaved(r reference.Ref, images []savedImage) (savedImage, error) {
	if len(images) == 1 && (r.Name == nil || r.Kind == reference.Daemon) && r.Digest == "" {
		return images[0], nil
	}
	var matches []savedImage
	var names []string
	for _, img := range images {
		names = append(names, "'"+strings.Join(img.RepoTags, " ")+"'")
		for _, tag := range img.RepoTags {
			n, err := reference.ParseName(tag)
			if r.Name != nil && err == nil && n.Name() == r.Name.Name() {
				matches = append(matches, img)
				break
			}
		}
	}
	have := strings.Join(names, ", ")
	switch {
	case len(images) == 0:
		return savedImage{}, fault.New(fault.NotFound, "opening '%s': the docker archive holds no image", r)
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1 || r.Name == nil && r.Digest == "":
		err := fault.New(fault.Usage, "opening '%s': the docker archive holds %d images: %s", r, len(images), have)
		return savedImage{}, fault.Hint(err, "name one: docker-archive:FILE:NAME")
	default:
		return savedImage{}, fault.New(fault.NotFound, "opening '%s': the docker archive holds %s", r, have)
	}
}

// savedConfig reads the config, whose file name is its digest in all known
// writers' archives.
func savedConfig(t *tarfile.File, saved savedImage) ([]byte, *v1.ConfigFile, error) {
	raw, err := t.ReadFile(saved.Config, maxConfig)
	if err != nil {
		return nil, nil, err
	}
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, err
	}
	named := strings.TrimPrefix(strings.TrimSuffix(path.Base(saved.Config), ".json"), "sha256:")
	if claimed, err := v1.NewHash("sha256:" + named); err == nil && claimed != h {
		return nil, nil, fmt.Errorf("%w: its digest is '%s'", ocilayout.ErrCorrupt, h)
	}
	cf, err := v1.ParseConfigFile(bytes.NewReader(raw))
	return raw, cf, err
}

// savedLayer is a layer as it lies in the archive, or in the spool.
type savedLayer struct {
	digest, diffID v1.Hash
	size           int64
	mediaType      types.MediaType
	open           func() (io.ReadCloser, error)
}

// savedLayers describes the layers. One that is a plain tar needs no reading:
// its digest is its diff ID. A compressed one is read for its digest.
func savedLayers(ctx context.Context, t *tarfile.File, names []string, diffIDs []v1.Hash) ([]*savedLayer, error) {
	out := make([]*savedLayer, len(names))
	for i, file := range names {
		rc, size, err := t.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading layer '%s': %w", file, err)
		}
		l := &savedLayer{digest: diffIDs[i], diffID: diffIDs[i], size: size, mediaType: types.OCIUncompressedLayer}
		l.open = func() (io.ReadCloser, error) {
			rc, _, err := t.Open(file)
			return rc, err
		}
		head := make([]byte, 4)
		n, err := io.ReadFull(rc, head)
		rc.Close()
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return nil, fmt.Errorf("reading layer '%s': %w", file, err)
		}
		switch {
		case bytes.HasPrefix(head[:n], []byte{0x1f, 0x8b}):
			l.mediaType = types.OCILayer
		case bytes.Equal(head[:n], []byte{0x28, 0xb5, 0x2f, 0xfd}):
			l.mediaType = types.OCILayerZStd
		default:
			out[i] = l
			continue
		}
		if l.digest, err = digestOf(ctx, l.open); err != nil {
			return nil, fmt.Errorf("reading layer '%s': %w", file, err)
		}
		out[i] = l
	}
	return out, nil
}

func digestOf(ctx context.Context, open func() (io.ReadCloser, error)) (v1.Hash, error) {
	rc, err := open()
	if err != nil {
		return v1.Hash{}, err
	}
	defer rc.Close()
	h, _, err := v1.SHA256(contextReader{ctx, rc})
	return h, err
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

func (l *savedLayer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *savedLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *savedLayer) Size() (int64, error)                { return l.size, nil }
func (l *savedLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *savedLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.open()
	if err != nil {
		return nil, fmt.Errorf("reading layer '%s': %w", l.digest, err)
	}
	v, err := ocilayout.Verify(rc, l.digest, l.size)
	if err != nil {
		rc.Close()
		return nil, fmt.Errorf("reading layer '%s': %w", l.digest, err)
	}
	return v, nil
}

func (l *savedLayer) Uncompressed() (io.ReadCloser, error) {
	rc, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	return tarfile.Decompress(rc)
}

// savedCore is what partial makes a v1.Image of.
type savedCore struct {
	config, manifest []byte
	layers           []*savedLayer
}

func newSavedImage(config []byte, layers []*savedLayer) (v1.Image, error) {
	h, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: h, Size: size},
		Layers:        []v1.Descriptor{},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: l.mediaType, Digest: l.digest, Size: l.size})
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(savedCore{config, raw, layers})
}

func (c savedCore) RawConfigFile() ([]byte, error)      { return bytes.Clone(c.config), nil }
func (c savedCore) RawManifest() ([]byte, error)        { return bytes.Clone(c.manifest), nil }
func (c savedCore) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (c savedCore) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range c.layers {
		if l.digest == h {
			return l, nil
		}
	}
	return nil, fault.New(fault.NotFound, "looking up layer '%s': the image has no such layer", h)
}
