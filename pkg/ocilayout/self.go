package ocilayout

import (
	"bytes"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/platform"
)

// Self is index.json itself as the index that it is, byte for byte, where it is
// one rather than a table of contents: a .cnb file for several platforms.
//
// It is one when no entry has a name and either the index says something of its
// own (annotations, a subject, an artifact type), or there are several entries,
// all of them image manifests for distinct platforms (attestations of unknown
// platform beside them are fine). A single entry with a platform is no index
// of one: tools write that for plain images too.
func (l *Layout) Self() (v1.ImageIndex, bool) {
	m := l.index
	for _, d := range m.Manifests {
		if d.Annotations[ImageNameAnnotation] != "" || d.Annotations[RefNameAnnotation] != "" {
			return nil, false
		}
	}
	own := len(m.Annotations) > 0 || m.Subject != nil || m.ArtifactType != ""
	if !own && !distinctPlatforms(m.Manifests) {
		return nil, false
	}
	h, size, err := v1.SHA256(bytes.NewReader(l.raw))
	if err != nil {
		return nil, false
	}
	return &index{
		layout:   l,
		desc:     v1.Descriptor{MediaType: indexMediaType(m), Size: size, Digest: h},
		raw:      l.raw,
		manifest: m,
	}, true
}

func distinctPlatforms(ds []v1.Descriptor) bool {
	seen := map[platform.Platform]bool{}
	for _, d := range ds {
		if d.Platform == nil || d.MediaType != types.OCIManifestSchema1 && d.MediaType != types.DockerManifestSchema2 {
			return false
		}
		p := platform.FromV1(d.Platform).Normalize()
		if p.OS == "unknown" {
			continue
		}
		if seen[p] {
			return false
		}
		seen[p] = true
	}
	return len(seen) > 1
}
