package imgtest

import (
	"fmt"
	"maps"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// BuildpackSpec says what Buildpack makes.
type BuildpackSpec struct {
	ID, Version string
	// API is the Buildpack API, "0.10" where "".
	API string
	// Platform is what the image's config says, "" for nothing.
	Platform string
	// Files are what the buildpack holds beside its buildpack.toml, bin/detect
	// and bin/build: path to text.
	Files map[string]string
}

// Buildpack makes an image that pack and multipack read as a packaged
// component buildpack: one layer below /cnb/buildpacks and the two labels of
// a buildpack package (Distribution API).
func Buildpack(tb testing.TB, spec BuildpackSpec) v1.Image {
	tb.Helper()
	api := spec.API
	if api == "" {
		api = "0.10"
	}
	root := path.Join("/cnb/buildpacks", strings.ReplaceAll(spec.ID, "/", "_"), spec.Version)
	files := map[string]string{
		"buildpack.toml": fmt.Sprintf("api = %q\n\n[buildpack]\nid = %q\nversion = %q\n", api, spec.ID, spec.Version),
		"bin/detect":     "#!/bin/sh\nexit 0\n",
		"bin/build":      "#!/bin/sh\necho " + spec.Platform + "\n",
	}
	maps.Copy(files, spec.Files)
	placed := make(map[string]string, len(files))
	for name, text := range files {
		placed[path.Join(root, name)] = text
	}
	image := ImageSpec{Platform: spec.Platform, Layers: -1, Files: placed}
	diffID := newLayer(tb, image, fileTar(tb, placed)).diffID
	image.Labels = map[string]string{
		"io.buildpacks.buildpackage.metadata": fmt.Sprintf(`{"id":%q,"version":%q,"stacks":[{"id":"*"}]}`, spec.ID, spec.Version),
		"io.buildpacks.buildpack.layers":      fmt.Sprintf(`{%q:{%q:{"api":%q,"stacks":[{"id":"*"}],"layerDiffID":%q}}}`, spec.ID, spec.Version, api, diffID),
	}
	return Image(tb, image)
}
