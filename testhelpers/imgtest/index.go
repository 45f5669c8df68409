package imgtest

import (
	"bytes"
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/platform"
)

// IndexSpec says what Index makes.
type IndexSpec struct {
	// Images are the children, in order.
	Images []ImageSpec
	// Attestations puts BuildKit's kind of attestation manifest after the images,
	// one for each.
	Attestations bool
	// Nested are indexes that follow the images as entries without a platform.
	Nested []IndexSpec
	// Docker makes a Docker manifest list; its images keep their own types.
	Docker bool
	// Annotations go on the index.
	Annotations map[string]string
}

// Of is the specification of an index with one image of one layer for each
// platform; seed varies their content.
func Of(seed string, platforms ...string) IndexSpec {
	var s IndexSpec
	for _, p := range platforms {
		s.Images = append(s.Images, ImageSpec{Platform: p, Seed: seed})
	}
	return s
}

// Index makes the index that spec describes.
func Index(tb testing.TB, spec IndexSpec) v1.ImageIndex {
	tb.Helper()
	b := &builder{index: index{mediaType: types.OCIImageIndex, images: map[v1.Hash]v1.Image{}, indexes: map[v1.Hash]v1.ImageIndex{}}}
	if spec.Docker {
		b.index.mediaType = types.DockerManifestList
	}
	b.manifest = v1.IndexManifest{SchemaVersion: 2, MediaType: b.index.mediaType, Manifests: []v1.Descriptor{}, Annotations: spec.Annotations}
	for _, s := range spec.Images {
		img := Image(tb, s)
		d := b.addImage(tb, img)
		if s.Platform != "" {
			p, err := platform.Parse(s.Platform)
			if err != nil {
				tb.Fatal(err)
			}
			d.Platform = p.V1()
		}
	}
	if spec.Attestations {
		for _, d := range b.manifest.Manifests[:len(spec.Images)] {
			b.addAttestation(tb, d.Digest)
		}
	}
	for _, s := range spec.Nested {
		b.addIndex(tb, Index(tb, s))
	}
	b.index.raw = encode(tb, b.manifest)
	return &b.index
}

type builder struct {
	index    index
	manifest v1.IndexManifest
}

// addImage appends img and gives its descriptor for editing.
func (b *builder) addImage(tb testing.TB, img v1.Image) *v1.Descriptor {
	tb.Helper()
	raw, err := img.RawManifest()
	if err != nil {
		tb.Fatal(err)
	}
	mt, err := img.MediaType()
	if err != nil {
		tb.Fatal(err)
	}
	d := describe(mt, raw)
	b.index.images[d.Digest] = img
	b.manifest.Manifests = append(b.manifest.Manifests, d)
	return &b.manifest.Manifests[len(b.manifest.Manifests)-1]
}

// addAttestation appends what BuildKit stores for a provenance or SBOM
// statement about the image with the given digest.
func (b *builder) addAttestation(tb testing.TB, subject v1.Hash) {
	tb.Helper()
	statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":"%s"}}]}`, subject.Hex)
	l := &layer{diffID: digest(statement), bytes: statement, desc: describe("application/vnd.in-toto+json", statement)}
	l.desc.Annotations = map[string]string{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
	config := &v1.ConfigFile{OS: "unknown", Architecture: "unknown", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{l.diffID}}}
	core := &image{mediaType: types.OCIManifestSchema1, layers: []*layer{l}, config: encode(tb, config)}
	core.seal(tb, types.OCIConfigJSON, nil)
	d := b.addImage(tb, core.open(tb))
	d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{
		"vnd.docker.reference.digest": subject.String(),
		"vnd.docker.reference.type":   "attestation-manifest",
	}
}

func (b *builder) addIndex(tb testing.TB, idx v1.ImageIndex) {
	tb.Helper()
	raw, err := idx.RawManifest()
	if err != nil {
		tb.Fatal(err)
	}
	mt, err := idx.MediaType()
	if err != nil {
		tb.Fatal(err)
	}
	d := describe(mt, raw)
	b.index.indexes[d.Digest] = idx
	b.manifest.Manifests = append(b.manifest.Manifests, d)
}

// index is a v1.ImageIndex in memory.
type index struct {
	mediaType types.MediaType
	raw       []byte
	images    map[v1.Hash]v1.Image
	indexes   map[v1.Hash]v1.ImageIndex
}

// MediaType is the index's media type.
func (i *index) MediaType() (types.MediaType, error) { return i.mediaType, nil }

// Digest is the digest of RawManifest.
func (i *index) Digest() (v1.Hash, error) { return digest(i.raw), nil }

// Size is the length of RawManifest.
func (i *index) Size() (int64, error) { return int64(len(i.raw)), nil }

// RawManifest gives the index's bytes.
func (i *index) RawManifest() ([]byte, error) { return i.raw, nil }

// IndexManifest gives the parsed index.
func (i *index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.raw))
}

// Image gives one child image.
func (i *index) Image(h v1.Hash) (v1.Image, error) {
	if img, ok := i.images[h]; ok {
		return img, nil
	}
	return nil, fmt.Errorf("the index has no image '%s'", h)
}

// ImageIndex gives one child index.
func (i *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	if idx, ok := i.indexes[h]; ok {
		return idx, nil
	}
	return nil, fmt.Errorf("the index has no index '%s'", h)
}
