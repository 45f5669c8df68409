package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func parsed(t *testing.T, s string) reference.Ref {
	t.Helper()
	r, err := reference.Parse(s, source.Stat)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func plat(s string) platform.Platform { return must(platform.Parse(s)) }

// image is a small random OCI image for p ("" says nothing of it).
func image(p string) v1.Image {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for range 2 {
		img = must(mutate.AppendLayers(img, must(random.Layer(300, types.OCILayer))))
	}
	c := must(img.ConfigFile()).DeepCopy()
	c.OS, c.Architecture = "linux", ""
	if p != "" {
		v := plat(p)
		c.OS, c.Architecture, c.Variant, c.OSVersion = v.OS, v.Arch, v.Variant, v.OSVersion
	}
	return must(mutate.ConfigFile(img, c))
}

func entry(img mutate.Appendable, p string) mutate.IndexAddendum {
	add := mutate.IndexAddendum{Add: img}
	if p != "" {
		add.Platform = plat(p).V1()
	}
	return add
}

func index(entries ...mutate.IndexAddendum) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), entries...)
}

// layoutOf is a layout directory with one entry.
func layoutOf(t *testing.T, a any, opts ...layout.Option) string {
	t.Helper()
	dir := t.TempDir()
	p := must(layout.Write(dir, empty.Index))
	var err error
	switch a := a.(type) {
	case v1.Image:
		err = p.AppendImage(a, opts...)
	case v1.ImageIndex:
		err = p.AppendIndex(a, opts...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tarOf packs directories into one tar.
func tarOf(t *testing.T, dirs ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, dir := range dirs {
		if err := tw.AddFS(os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened opens s and closes it with the test.
func opened(t *testing.T, d source.Deps, s string) source.Opened {
	t.Helper()
	o, err := source.New(d).Open(t.Context(), parsed(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Done(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func check(t *testing.T, a any) {
	t.Helper()
	var err error
	switch a := a.(type) {
	case v1.Image:
		err = validate.Image(a)
	case v1.ImageIndex:
		err = validate.Index(a)
	}
	if err != nil {
		t.Error(err)
	}
}

func same(t *testing.T, got, want manifest.Artifact) {
	t.Helper()
	if g, w := must(got.Digest()), must(want.Digest()); g != w {
		t.Errorf("digest %v, want %v", g, w)
	}
}

func zip(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }

// skopeo runs skopeo copy; without it the test is skipped.
func skopeo(t *testing.T, args ...string) {
	t.Helper()
	bin, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	cmd := exec.CommandContext(t.Context(), bin, append([]string{"--insecure-policy", "copy", "--quiet"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
