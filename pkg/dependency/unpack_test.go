package dependency_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// unpacked is a module's tree by way of its layer.
func unpacked(t *testing.T, m buildpack.Module) (tree.Tree, error) {
	t.Helper()
	u := &dependency.Unpacker{Dir: t.TempDir()}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(u.Dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	})
	return u.Tree(t.Context(), m)
}

// mainModule packs a folder for one platform and gives its module out of a registry.
func (l *lab) mainModule(t *testing.T, dir, target string, recompress func(v1.Image) v1.Image) buildpack.Module {
	t.Helper()
	r := regtest.New(t)
	img := v1.Image(nil)
	idx := l.packaged(t, dir, []string{target}, buildpack.Options{})
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if img, err = idx.Image(m.Manifests[0].Digest); err != nil {
		t.Fatal(err)
	}
	if recompress != nil {
		img = recompress(img)
	}
	l.put(t, img, publish.CNB{}, r.Host()+"/x:1")
	found, err := l.resolve(t, l.resolver(), targets(t, target), r.Host()+"/x:1")
	if err != nil {
		t.Fatal(err)
	}
	return found.Modules(0)[0]
}

// A layer gives back the tree that it was made of, and that gives the layer again.
func TestUnpack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := l.component(t, "acme/a", "1.0.0")
	writeFile(t, filepath.Join(dir, "lib", "data"), strings.Repeat("data ", 1000))
	if err := os.Link(filepath.Join(dir, "lib", "data"), filepath.Join(dir, "lib", "same")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../lib/data", filepath.Join(dir, "bin", "data")); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"linux/amd64", "windows/amd64"} {
		m := l.mainModule(t, dir, target, nil)
		content, err := unpacked(t, m)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, e := range content.Entries {
			paths = append(paths, e.Path)
		}
		if want := []string{"bin", "bin/build", "bin/data", "bin/detect", "buildpack.toml", "lib", "lib/data", "lib/same"}; !slices.Equal(paths, want) {
			t.Errorf("%s: got %q, want %q", target, paths, want)
		}
		system, _, _ := strings.Cut(target, "/")
		again, err := l.maker.Module(t.Context(), "buildpacks", "acme/a", "1.0.0", content, system)
		if err != nil {
			t.Fatal(err)
		}
		if diffID, err := again.DiffID(); err != nil || diffID != m.Content.DiffID {
			t.Errorf("%s: got %s, %v, want %s", target, diffID, err, m.Content.DiffID)
		}
	}
}

func TestUnpackReadsZstd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := l.component(t, "acme/a", "1.0.0")
	plain := l.mainModule(t, dir, "linux/amd64", nil)
	zstd := l.mainModule(t, dir, "linux/amd64", func(img v1.Image) v1.Image {
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		l, err := tarball.LayerFromOpener(layers[0].Uncompressed, tarball.WithCompression(compression.ZStd), tarball.WithMediaType(types.OCILayerZStd))
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.RootFS, config.History = v1.RootFS{Type: "layers"}, nil
		base, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), config)
		if err != nil {
			t.Fatal(err)
		}
		out, err := mutate.AppendLayers(base, l)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
	if mt, err := zstd.Content.Layer.MediaType(); err != nil || mt != types.OCILayerZStd {
		t.Fatalf("got %s, %v", mt, err)
	}
	if plain.Content.DiffID != zstd.Content.DiffID {
		t.Errorf("the layers differ")
	}
	content, err := unpacked(t, zstd)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := content.ReadFile("bin/build"); err != nil || string(raw) != "#!/bin/sh\n# .\n" {
		t.Errorf("got '%s', %v", raw, err)
	}
}

func TestUnpackChecksTheContent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	m := l.mainModule(t, l.component(t, "acme/a", "1.0.0"), "linux/amd64", nil)
	wrong := m
	wrong.Content.DiffID.Hex = strings.Repeat("0", 64)
	if _, err := unpacked(t, wrong); err == nil || !strings.Contains(err.Error(), "its content has the diff id '"+m.Content.DiffID.String()+"'") {
		t.Errorf("got %v", err)
	}
	other := m
	other.Descriptor.Info.Version = "2.0.0"
	if _, err := unpacked(t, other); err == nil || !strings.Contains(err.Error(), "it has no folder '/cnb/buildpacks/acme_a/2.0.0'") {
		t.Errorf("got %v", err)
	}
}
