package publish

import (
	"encoding/json"
	"slices"

	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// dockerImage is one element of manifest.json, which `docker save` writes and
// `docker load` reads (Docker Image Specification v1.2).
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerManifest is a manifest.json over the blobs of an OCI layout. The image
// for host comes first and alone has the names: docker load would move them on
// to every further image. Images of another operating system are left out,
// because an engine refuses the whole archive for them.
func dockerManifest(parts []part, host platform.Platform, tags []string) ([]byte, error) {
	if len(parts) == 0 {
		return json.Marshal([]dockerImage{})
	}
	all, _ := platforms(parts)
	first := max(choose(all, host), 0)
	ordered := slices.Concat(parts[first:first+1], parts[:first], parts[first+1:])
	images := []dockerImage{}
	for i, p := range ordered {
		if p.platform().Normalize().OS != all[first].Normalize().OS {
			continue
		}
		img := dockerImage{Config: blobPath(p.node.config.desc.Digest), Layers: []string{}}
		if i == 0 {
			img.RepoTags = tags
		}
		for _, l := range p.node.layers {
			img.Layers = append(img.Layers, blobPath(l.desc.Digest))
		}
		images = append(images, img)
	}
	return json.Marshal(images)
}

// repoTags are the full image names among names, as docker save writes them.
func repoTags(names []string) []string {
	var out []string
	for _, n := range names {
		if _, ok := fullName(n); !ok {
			continue
		}
		if ref, err := reference.ParseName(n); err == nil {
			out = append(out, reference.Familiar(ref))
		}
	}
	return out
}
