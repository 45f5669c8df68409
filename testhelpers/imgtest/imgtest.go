// Package imgtest makes small images and indexes for tests. What it makes
// depends on its arguments alone: the same specification gives the same bytes
// in every run and on every machine, so tests may compare digests across
// processes.
package imgtest

import (
	"encoding/json"
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/platform"
)

// ImageSpec says what Image makes. The zero value is an OCI image without a
// platform that has one gzip layer with one small file.
type ImageSpec struct {
	// Platform is os/arch[/variant][:osversion]; "" leaves the config's os and
	// architecture empty.
	Platform string
	// Seed varies the content of all layers that are not shared.
	Seed string
	// Layers is their number, 1 where 0; a negative number makes an image
	// without layers.
	Layers int
	// LayerSize is the number of incompressible bytes in each layer, 64 where 0.
	LayerSize int
	// Shared is the number of leading layers whose content depends on neither
	// Platform nor Seed: all images that share have those blobs in common.
	Shared int
	// Docker selects Docker's media types instead of OCI's.
	Docker bool
	// Zstd compresses the layers with zstd instead of gzip (OCI only).
	Zstd bool
	// Foreign appends a layer that is only to be had from a URL.
	Foreign bool
	// Labels go into the config, Annotations into the manifest.
	Labels, Annotations map[string]string
	// Files, when set, are the content of one further layer: path to text.
	// Paths that end in one of the bin/ names of a buildpack become executable.
	Files map[string]string
}

// Image makes the image that spec describes.
func Image(tb testing.TB, spec ImageSpec) v1.Image {
	tb.Helper()
	layers := specLayers(tb, spec)
	config := &v1.ConfigFile{RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Labels: spec.Labels}, Created: v1.Time{Time: epoch}}
	setPlatform(tb, config, spec.Platform)
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
		config.History = append(config.History, v1.History{Created: v1.Time{Time: epoch}})
	}
	if config.RootFS.DiffIDs == nil {
		config.RootFS.DiffIDs = []v1.Hash{}
	}
	core := &image{layers: layers, config: encode(tb, config), mediaType: types.OCIManifestSchema1}
	configType := types.OCIConfigJSON
	if spec.Docker {
		core.mediaType, configType = types.DockerManifestSchema2, types.DockerConfigJSON
	}
	core.seal(tb, configType, spec.Annotations)
	return core.open(tb)
}

func specLayers(tb testing.TB, spec ImageSpec) []*layer {
	tb.Helper()
	size := spec.LayerSize
	if size == 0 {
		size = 64
	}
	n := max(spec.Layers, 0)
	if spec.Layers == 0 {
		n = 1
	}
	layers := make([]*layer, 0, n+1)
	for i := range n {
		seed := fmt.Sprintf("shared %d", i)
		if i >= spec.Shared {
			seed = fmt.Sprintf("%s %s %d", spec.Seed, spec.Platform, i)
		}
		layers = append(layers, newLayer(tb, spec, singleFile(tb, fmt.Sprintf("layer-%d", i), noise(seed, size))))
	}
	if len(spec.Files) > 0 {
		layers = append(layers, newLayer(tb, spec, fileTar(tb, spec.Files)))
	}
	if spec.Foreign {
		l := newLayer(tb, spec, singleFile(tb, "foreign", noise("foreign", size)))
		l.desc.MediaType = types.OCIRestrictedLayer
		if spec.Docker {
			l.desc.MediaType = types.DockerForeignLayer
		}
		l.desc.URLs = []string{"https://example.com/foreign/" + l.desc.Digest.Hex}
		layers = append(layers, l)
	}
	return layers
}

func setPlatform(tb testing.TB, config *v1.ConfigFile, s string) {
	tb.Helper()
	if s == "" {
		return
	}
	p, err := platform.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	config.OS, config.Architecture, config.Variant, config.OSVersion = p.OS, p.Arch, p.Variant, p.OSVersion
}

// image is the core of an image whose bytes are all in memory.
type image struct {
	mediaType        types.MediaType
	config, manifest []byte
	layers           []*layer
}

// seal writes the manifest of the image's config and layers.
func (i *image) seal(tb testing.TB, configType types.MediaType, annotations map[string]string) {
	tb.Helper()
	m := &v1.Manifest{
		SchemaVersion: 2, MediaType: i.mediaType, Config: describe(configType, i.config),
		Layers: []v1.Descriptor{}, Annotations: annotations,
	}
	for _, l := range i.layers {
		m.Layers = append(m.Layers, l.desc)
	}
	i.manifest = encode(tb, m)
}

func (i *image) open(tb testing.TB) v1.Image {
	tb.Helper()
	img, err := partial.CompressedToImage(i)
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// RawConfigFile, MediaType, RawManifest and LayerByDigest make a
// partial.CompressedImageCore.

// RawConfigFile gives the config's bytes.
func (i *image) RawConfigFile() ([]byte, error) { return i.config, nil }

// MediaType gives the manifest's media type.
func (i *image) MediaType() (types.MediaType, error) { return i.mediaType, nil }

// RawManifest gives the manifest's bytes.
func (i *image) RawManifest() ([]byte, error) { return i.manifest, nil }

// LayerByDigest gives one layer.
func (i *image) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.layers {
		if l.desc.Digest == h {
			return l, nil
		}
	}
	return nil, fmt.Errorf("the image has no layer '%s'", h)
}

// describe gives the descriptor of raw.
func describe(mt types.MediaType, raw []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mt, Digest: digest(raw), Size: int64(len(raw))}
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
