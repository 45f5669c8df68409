package compare_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/compare"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree/load"
)

// module is a buildpack with the given files; a text that begins with "-> " is a
// link, one that begins with "=" a second name of another file.
func module(t *testing.T, id, version string, files map[string]string) buildpack.Module {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			switch {
			case strings.HasPrefix(text, "-> "):
				err = os.Symlink(strings.TrimPrefix(text, "-> "), path)
			case strings.HasPrefix(text, "="):
				err = os.Link(filepath.Join(dir, filepath.FromSlash(text[1:])), path)
			case strings.HasPrefix(text, "#!"):
				err = os.WriteFile(path, []byte(text), 0o755)
			default:
				err = os.WriteFile(path, []byte(text), 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("api = \"0.10\"\n[buildpack]\nid = %q\nversion = %q\n", id, version)
	if order := files["order"]; order != "" {
		text += order
	}
	write("buildpack.toml", text)
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // what is linked to comes first
		if x, y := strings.HasPrefix(files[a], "="), strings.HasPrefix(files[b], "="); x != y {
			if y {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if name != "order" {
			write(name, files[name])
		}
	}
	loaded, err := load.Open(t.Context(), dir, load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := buildpack.Load(loaded.Tree)
	if err != nil {
		t.Fatal(err)
	}
	return buildpack.Module{Descriptor: d, Content: buildpack.Content{Tree: loaded.Tree}}
}

func order(refs ...string) string {
	s := "[[order]]\n"
	for _, ref := range refs {
		id, version, _ := strings.Cut(ref, "@")
		s += fmt.Sprintf("[[order.group]]\nid = %q\nversion = %q\n", id, version)
	}
	return s
}

func pack(t *testing.T, o buildpack.Options, target string, main buildpack.Module, deps ...buildpack.Module) v1.Image {
	t.Helper()
	maker := layer.NewMaker(layer.Options{Dir: t.TempDir(), Workers: 2})
	t.Cleanup(func() { _ = maker.Close() })
	o.Maker = maker
	targets, err := platform.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	img, err := buildpack.Pack(t.Context(), main, deps, targets[0], o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func images(t *testing.T, a, b v1.Image, files bool) compare.Result {
	t.Helper()
	r, err := compare.Images(t.Context(), a, b, files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lines(r compare.Result) []string {
	var out []string
	for _, d := range r.Differences {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Module, d.What, d.Key)))
	}
	for _, f := range r.Files {
		a, b := f.Texts()
		out = append(out, fmt.Sprintf("%s %s %s: %.7s, %.7s", f.Module, f.Path, f.How, a, b))
	}
	return out
}

func TestFiles(t *testing.T) {
	t.Parallel()
	one := map[string]string{
		"bin/build": "#!one", "lib/same": "same", "lib/gone": "gone", "lib/link": "-> same", "lib/kind": "file", "lib/name": "=lib/same", "lib/mode": "mode",
	}
	two := map[string]string{
		"bin/build": "#!two.", "lib/same": "same", "lib/new": "new", "lib/link": "-> new", "lib/kind": "-> same", "lib/name": "=lib/same", "lib/mode": "mode",
	}
	for _, target := range []string{"linux/amd64", "windows/amd64"} {
		a, b := module(t, "a", "1", one), module(t, "a", "1", two)
		b.Content.Tree.Entries = slices.Clone(b.Content.Tree.Entries)
		for i := range b.Content.Tree.Entries {
			if b.Content.Tree.Entries[i].Path == "lib/mode" {
				b.Content.Tree.Entries[i].Mode = 0o755
			}
		}
		x, y := pack(t, buildpack.Options{}, target, a), pack(t, buildpack.Options{}, target, b)
		want := []string{
			"a@1 layer",
			"a@1 bin/build content: 5 bytes, 6 bytes",
			"a@1 lib/gone removed: 4 bytes, ",
			"a@1 lib/kind kind: 4 bytes, symlink",
			"a@1 lib/link link: symlink, symlink",
			"a@1 lib/mode mode: 0644, 0755",
			"a@1 lib/new added: , 3 bytes",
		}
		if diff := cmp.Diff(want, lines(images(t, x, y, true))); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
		if diff := cmp.Diff(want[:1], lines(images(t, x, y, false))); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
}

// Modules are compared with the one other version that is there; new ones and
// old ones are there with all their files.
func TestModules(t *testing.T) {
	t.Parallel()
	main := func(refs ...string) buildpack.Module {
		return module(t, "m", "1", map[string]string{"order": order(refs...)})
	}
	a := pack(t, buildpack.Options{}, "linux/amd64", main("x@1", "y@1"), module(t, "x", "1", map[string]string{"f": "1"}), module(t, "y", "1", nil))
	b := pack(t, buildpack.Options{}, "linux/amd64", main("x@2", "z@1"), module(t, "x", "2", map[string]string{"f": "2"}), module(t, "z", "1", nil))
	want := []string{
		"m@1 order", "x@1 module", "x@2 module", "y@1 module", "z@1 module", "m@1 layer",
		"m@1 buildpack.toml content: 136 byt, 136 byt",
		"x@1 → x@2 buildpack.toml content: 48 byte, 48 byte",
		"x@1 → x@2 f content: 1 bytes, 1 bytes",
		"y@1 buildpack.toml removed: 48 byte, ",
		"z@1 buildpack.toml added: , 48 byte",
	}
	if diff := cmp.Diff(want, lines(images(t, a, b, true))); diff != "" {
		t.Error(diff)
	}
	same := images(t, a, a, true)
	if !same.Same() || len(same.Differences)+len(same.Files) != 0 {
		t.Errorf("got %v", lines(same))
	}
}

// Whatever changes a digest is named.
func TestEverythingElse(t *testing.T) {
	t.Parallel()
	a := module(t, "a", "1", map[string]string{"f": "1"})
	base := pack(t, buildpack.Options{}, "linux/amd64", a)
	for name, c := range map[string]struct {
		img  v1.Image
		want []string
	}{
		"label":      {pack(t, buildpack.Options{Labels: map[string]string{"k": "v"}}, "linux/amd64", a), []string{"label k"}},
		"annotation": {pack(t, buildpack.Options{Annotations: map[string]string{"k": "v"}}, "linux/amd64", a), []string{"manifest annotations.k"}},
		"created":    {pack(t, buildpack.Options{Created: time.Unix(1, 0)}, "linux/amd64", a), []string{"config created", "config history[0].created"}},
		"platform":   {pack(t, buildpack.Options{}, "linux/arm/v6", a), []string{"config architecture", "config variant"}},
		"windows":    {pack(t, buildpack.Options{}, "windows/amd64", a), []string{"a@1 layer", "layer", "config os"}},
		"compressed": {recompressed(t, a), []string{"a@1 compression " + diffID(t, base)}},
		"encoding":   {spaced{base}, []string{"encoding"}},
	} {
		if got := lines(images(t, base, c.img, false)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func diffID(t *testing.T, img v1.Image) string {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.RootFS.DiffIDs[0].String()
}

// recompressed packs a module whose layer is compressed in another way.
func recompressed(t *testing.T, m buildpack.Module) v1.Image {
	t.Helper()
	layers, err := pack(t, buildpack.Options{}, "linux/amd64", m).Layers()
	if err != nil {
		t.Fatal(err)
	}
	other, err := tarball.LayerFromOpener(layers[0].Uncompressed, tarball.WithCompressionLevel(9))
	if err != nil {
		t.Fatal(err)
	}
	diffID, err := other.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	m.Content = buildpack.Content{Layer: other, DiffID: diffID}
	return pack(t, buildpack.Options{}, "linux/amd64", m)
}

// spaced is an image whose manifest has a blank at its end.
type spaced struct{ v1.Image }

func (s spaced) RawManifest() ([]byte, error) {
	raw, err := s.Image.RawManifest()
	return append(raw, ' '), err
}

func (s spaced) Digest() (v1.Hash, error) {
	raw, err := s.RawManifest()
	if err != nil {
		return v1.Hash{}, err
	}
	h, _, err := v1.SHA256(strings.NewReader(string(raw)))
	return h, err
}
