package buildpack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

func loadTree(t *testing.T, dir string) tree.Tree {
	t.Helper()
	loaded, err := load.Open(t.Context(), dir, load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loaded.Close() })
	return loaded.Tree
}

// loadModule is a module of testdata, as a folder is packaged.
func loadModule(t *testing.T, name string) buildpack.Module {
	t.Helper()
	root := loadTree(t, filepath.Join("testdata", name))
	d, err := buildpack.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return buildpack.Module{Descriptor: d, Content: buildpack.Content{Tree: root}, From: name}
}

func newMaker(t *testing.T) *layer.Maker {
	t.Helper()
	m := layer.NewMaker(layer.Options{Dir: t.TempDir(), Workers: 2})
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func target(t *testing.T, s string) platform.Target {
	t.Helper()
	all, err := platform.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func pack(t *testing.T, main buildpack.Module, deps []buildpack.Module, o buildpack.Options) v1.Image {
	t.Helper()
	if o.Maker == nil {
		o.Maker = newMaker(t)
	}
	img, err := buildpack.Pack(t.Context(), main, deps, target(t, "linux/amd64"), o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func imageLabels(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.Config.Labels
}

func golden(t *testing.T, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "golden", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]string
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// memTree is a tree of paths; a trailing slash makes a folder, "a -> b" a link.
func memTree(paths ...string) tree.Tree {
	t := tree.Tree{Name: "app"}
	for _, p := range paths {
		e := tree.Entry{Path: strings.TrimSuffix(p, "/"), Mode: 0o644}
		if name, link, ok := strings.Cut(p, " -> "); ok {
			e.Path, e.Link, e.Type = name, link, tree.Symlink
		} else if strings.HasSuffix(p, "/") {
			e.Type, e.Mode = tree.Dir, 0o755
		} else {
			content := []byte("content of " + p)
			if strings.HasSuffix(p, "buildpack.toml") {
				content = []byte(minimal)
			}
			e.Size, e.ID = int64(len(content)), p
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		}
		t.Entries = append(t.Entries, e)
	}
	return t
}

const minimal = "api = \"0.10\"\n[buildpack]\nid = \"acme/a\"\nversion = \"1.0.0\"\n"

func descriptor(t *testing.T, text string) buildpack.Descriptor {
	t.Helper()
	d, err := buildpack.ParseBuildpack("buildpack.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// existing is a module whose layer exists already.
func existing(t *testing.T, text, content string) buildpack.Module {
	t.Helper()
	l := static.NewLayer([]byte(content), types.DockerLayer)
	diffID, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	return buildpack.Module{Descriptor: descriptor(t, text), Content: buildpack.Content{Layer: l, DiffID: diffID}}
}

func component(id, version string) string {
	return "api = \"0.10\"\n[buildpack]\nid = \"" + id + "\"\nversion = \"" + version + "\"\n"
}

func composite(id, version string, refs ...string) string {
	s := component(id, version) + "[[order]]\n"
	for _, ref := range refs {
		name, v, _ := strings.Cut(ref, "@")
		s += "[[order.group]]\nid = \"" + name + "\"\n"
		if v != "" {
			s += "version = \"" + v + "\"\n"
		}
	}
	return s
}

// layersOnly is a maker for modules that all have a layer: asking it is a mistake.
type layersOnly struct{ t *testing.T }

func (l layersOnly) Module(context.Context, string, string, string, tree.Tree, string) (v1.Layer, error) {
	l.t.Error("a layer was made although all exist")
	return static.NewLayer(nil, types.OCILayer), nil
}

func (l layersOnly) Flat(context.Context, []tree.Module, string) (v1.Layer, error) {
	l.t.Error("a layer was made although all exist")
	return static.NewLayer(nil, types.OCILayer), nil
}

func (l layersOnly) WindowsBase(context.Context) (v1.Layer, error) {
	return static.NewLayer([]byte("base"), types.OCILayer), nil
}
