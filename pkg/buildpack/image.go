package buildpack

import (
	"bytes"
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// The encodings below fix the order of the keys, and with it every digest, in
// this package: whatever becomes of a library's structs, the bytes stay.

type configJSON struct {
	Architecture string        `json:"architecture"`
	Created      string        `json:"created"`
	History      []historyJSON `json:"history,omitempty"`
	OS           string        `json:"os"`
	RootFS       rootFSJSON    `json:"rootfs"`
	Config       struct {
		Labels map[string]string `json:"Labels,omitempty"`
	} `json:"config"`
	OSVersion string `json:"os.version,omitempty"`
	Variant   string `json:"variant,omitempty"`
}

type historyJSON struct {
	Created string `json:"created"`
}

type rootFSJSON struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type manifestJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	Config        descriptorJSON    `json:"config"`
	Layers        []descriptorJSON  `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type descriptorJSON struct {
	MediaType   types.MediaType   `json:"mediaType"`
	Size        int64             `json:"size"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// image is a v1.Image of fixed bytes whose layers are the objects that it was
// made from, so that a publisher recognises a layer that it can mount.
type image struct {
	config, manifest []byte
	digest           v1.Hash
	layers           []v1.Layer
	byDigest, byDiff map[v1.Hash]v1.Layer
}

type imageSpec struct {
	platform    platform.Platform
	created     time.Time
	labels      map[string]string
	annotations map[string]string
	layers      []v1.Layer
	diffIDs     []v1.Hash
	extras      []Extras // as many as layers, or fewer
}

func newImage(s imageSpec) (v1.Image, error) {
	img := &image{layers: s.layers, byDigest: map[v1.Hash]v1.Layer{}, byDiff: map[v1.Hash]v1.Layer{}}
	config := configJSON{
		Architecture: s.platform.Arch, OS: s.platform.OS, OSVersion: s.platform.OSVersion, Variant: s.platform.Variant,
		Created: s.created.UTC().Format(time.RFC3339Nano),
		RootFS:  rootFSJSON{Type: "layers", DiffIDs: []string{}},
	}
	config.Config.Labels = s.labels
	manifest := manifestJSON{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Layers: []descriptorJSON{}, Annotations: s.annotations,
	}
	for i, layer := range s.layers {
		d, err := describe(layer)
		if err != nil {
			return nil, err
		}
		if d.Annotations, err = s.layerAnnotations(i); err != nil {
			return nil, err
		}
		hash, err := layer.Digest()
		if err != nil {
			return nil, err
		}
		img.byDigest[hash], img.byDiff[s.diffIDs[i]] = layer, layer
		manifest.Layers = append(manifest.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, s.diffIDs[i].String())
		config.History = append(config.History, historyJSON{Created: config.Created})
	}
	var err error
	if img.config, err = json.Marshal(config); err != nil {
		return nil, err
	}
	configHash, size, err := v1.SHA256(bytes.NewReader(img.config))
	if err != nil {
		return nil, err
	}
	manifest.Config = descriptorJSON{MediaType: types.OCIConfigJSON, Size: size, Digest: configHash.String()}
	if img.manifest, err = json.Marshal(manifest); err != nil {
		return nil, err
	}
	img.digest, _, err = v1.SHA256(bytes.NewReader(img.manifest))
	return img, err
}

func describe(layer v1.Layer) (descriptorJSON, error) {
	hash, err := layer.Digest()
	if err != nil {
		return descriptorJSON{}, err
	}
	size, err := layer.Size()
	if err != nil {
		return descriptorJSON{}, err
	}
	mediaType, err := layer.MediaType()
	if err != nil {
		return descriptorJSON{}, err
	}
	if mediaType == types.DockerLayer {
		mediaType = types.OCILayer // one format by two names; the manifest is OCI's
	}
	return descriptorJSON{MediaType: mediaType, Size: size, Digest: hash.String()}, nil
}

func (i *image) Layers() ([]v1.Layer, error)         { return append([]v1.Layer(nil), i.layers...), nil }
func (i *image) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (i *image) Size() (int64, error)                { return int64(len(i.manifest)), nil }
func (i *image) ConfigName() (v1.Hash, error)        { return partial.ConfigName(i) }
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }
func (i *image) RawConfigFile() ([]byte, error)      { return bytes.Clone(i.config), nil }
func (i *image) Digest() (v1.Hash, error)            { return i.digest, nil }
func (i *image) Manifest() (*v1.Manifest, error)     { return partial.Manifest(i) }
func (i *image) RawManifest() ([]byte, error)        { return bytes.Clone(i.manifest), nil }
func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if layer, ok := i.byDigest[h]; ok {
		return layer, nil
	}
	if name, err := i.ConfigName(); err == nil && name == h {
		return partial.ConfigLayer(i)
	}
	return nil, fault.New(fault.NotFound, "reading the layers of a package: no blob '%s'", h)
}

func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	if layer, ok := i.byDiff[h]; ok {
		return layer, nil
	}
	return nil, fault.New(fault.NotFound, "reading the layers of a package: no layer with diff id '%s'", h)
}
