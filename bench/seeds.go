package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time in buildpack packages.
var epoch = time.Date(1980, time.January, 1, 0, 0, 1, 0, time.UTC)

// entry is a file or folder of a layer.
type entry struct {
	name    string
	mode    int64
	content []byte
	dir     bool
}

// layerOf makes a gzip layer.
func layerOf(entries []entry) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.content)), ModTime: epoch}
		if e.dir {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}

// noise is a layer with one file of n bytes that do not compress; seed varies them.
func noise(seed string, n int64) (v1.Layer, error) {
	content := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(content) // never fails
	return layerOf([]entry{{name: "data", mode: 0o644, content: content}})
}

// imageOf makes an OCI image.
func imageOf(p v1.Platform, labels map[string]string, layers ...v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config := &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion,
		RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Labels: labels}, Created: v1.Time{Time: epoch}}
	img, err := mutate.ConfigFile(img, config)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layers...)
}

// plain makes an image for each platform, with one layer of n bytes.
func plain(seed string, n int64, platforms ...v1.Platform) ([]v1.Image, error) {
	var all []v1.Image
	for _, p := range platforms {
		layer, err := noise(seed+" "+p.String(), n)
		if err != nil {
			return nil, err
		}
		img, err := imageOf(p, nil, layer)
		if err != nil {
			return nil, err
		}
		all = append(all, img)
	}
	return all, nil
}

// indexOf makes an OCI index of images.
func indexOf(images []v1.Image) (v1.ImageIndex, error) {
	adds := make([]mutate.IndexAddendum, 0, len(images))
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		adds = append(adds, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...), nil
}

// packaged makes the component's package as an index: for each platform an
// image with the buildpack's layer and the two labels that readers go by
// (Distribution API, "buildpackage").
func (c component) packaged() (v1.ImageIndex, error) {
	var images []v1.Image
	for _, p := range c.platforms {
		layer, err := c.layer(p)
		if err != nil {
			return nil, err
		}
		diffID, err := layer.DiffID()
		if err != nil {
			return nil, err
		}
		meta, err := json.Marshal(map[string]any{"id": c.id, "version": "1.0.0", "name": c.id, "stacks": []any{map[string]string{"id": "*"}}})
		if err != nil {
			return nil, err
		}
		layers := fmt.Sprintf(`{%q:{"1.0.0":{"api":"0.10","stacks":[{"id":"*"}],"layerDiffID":%q,"name":%q}}}`, c.id, diffID, c.id)
		system, arch, _ := strings.Cut(p, "/")
		img, err := imageOf(v1.Platform{OS: system, Architecture: arch},
			map[string]string{"io.buildpacks.buildpackage.metadata": string(meta), "io.buildpacks.buildpack.layers": layers}, layer)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	return indexOf(images)
}

// layer is the component's layer for a platform.
func (c component) layer(platform string) (v1.Layer, error) {
	toml, err := os.ReadFile(filepath.Join(c.dir, "buildpack.toml"))
	if err != nil {
		return nil, err
	}
	id := path.Join("/cnb/buildpacks", strings.ReplaceAll(c.id, "/", "_"))
	root := path.Join(id, "1.0.0")
	entries := []entry{{name: id, mode: 0o755, dir: true}, {name: root, mode: 0o755, dir: true}, {name: root + "/buildpack.toml", mode: 0o644, content: toml}}
	folder := c.folder(platform)
	err = filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == folder {
			return err
		}
		rel, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		e := entry{name: path.Join(root, filepath.ToSlash(rel)), mode: 0o755, dir: d.IsDir()}
		if !e.dir {
			e.content, err = os.ReadFile(file)
		}
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	return layerOf(entries)
}

// pushIndex writes an index and all below it.
func pushIndex(ctx context.Context, to string, idx v1.ImageIndex) error {
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, idx, remote.WithContext(ctx))
}

// pushImages writes images under tags: repo + tag of the same place in the list.
func pushImages(ctx context.Context, refs []string, images []v1.Image) error {
	var errs []error
	for i, img := range images {
		ref, err := name.ParseReference(refs[i])
		if err == nil {
			err = remote.Write(ref, img, remote.WithContext(ctx))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
