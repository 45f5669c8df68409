package commands

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/publish"
)

// shared names the step of blobs that several platforms have in common.
const shared = "several platforms"

// platformSteps names the step of a blob by its platform; what is no blob of an
// image is a step of its destination.
func platformSteps(images []buildpack.PlatformImage) func(publish.Event) string {
	steps := map[v1.Hash]string{}
	for _, img := range images {
		m, err := img.Image.Manifest()
		if err != nil {
			continue // publishing will meet it again
		}
		for _, blob := range append(m.Layers, m.Config) {
			if _, taken := steps[blob.Digest]; taken {
				steps[blob.Digest] = shared
			} else {
				steps[blob.Digest] = img.Target.String()
			}
		}
	}
	return func(e publish.Event) string {
		if name, ok := steps[e.Descriptor.Digest]; ok {
			return name
		}
		return e.Ref
	}
}
