package announce

import (
	"bytes"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WithdrawnType is the artifactType of the marker that takes the place of an
// announcement when its platform is removed: "not this platform".
const WithdrawnType = "application/vnd.multipack.withdrawn.v1+json"

// emptyType is the OCI image specification's media type of the blob `{}`.
const emptyType types.MediaType = "application/vnd.oci.empty.v1+json"

var emptyBlob = []byte("{}")

// withdrawnMarker is an OCI artifact without content, by the image
// specification's guidance: config and only layer are the empty blob. It is
// the same for every platform; the tag says which one is meant.
func withdrawnMarker() (Manifest, error) {
	h, size, err := v1.SHA256(bytes.NewReader(emptyBlob))
	if err != nil {
		return Manifest{}, err
	}
	type descriptor struct {
		MediaType types.MediaType `json:"mediaType"`
		Digest    v1.Hash         `json:"digest"`
		Size      int64           `json:"size"`
	}
	empty := descriptor{emptyType, h, size}
	raw, err := json.Marshal(struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
		ArtifactType  string          `json:"artifactType"`
		Config        descriptor      `json:"config"`
		Layers        []descriptor    `json:"layers"`
	}{2, types.OCIManifestSchema1, WithdrawnType, empty, []descriptor{empty}})
	if err != nil {
		return Manifest{}, err
	}
	return manifestOf(raw, types.OCIManifestSchema1)
}

// artifactType is what a manifest says it is besides its media type, "" for
// images: where the config is no image's, the field of OCI 1.1, else the config's media type.
func artifactType(raw []byte) string {
	var m struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType types.MediaType `json:"mediaType"`
		} `json:"config"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	switch m.Config.MediaType {
	case "", types.OCIConfigJSON, types.DockerConfigJSON:
		return ""
	}
	if m.ArtifactType != "" {
		return m.ArtifactType
	}
	return string(m.Config.MediaType)
}
