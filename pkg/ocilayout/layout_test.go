package ocilayout_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/zstd"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/ocilayout"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// image is a small random image for linux/arch.
func image(t *testing.T, arch string) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for range 2 {
		img = must(mutate.AppendLayers(img, must(random.Layer(300, types.OCILayer))))
	}
	c := must(img.ConfigFile()).DeepCopy()
	c.OS, c.Architecture = "linux", arch
	return must(mutate.ConfigFile(img, c))
}

// index holds images for two platforms.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	idx := v1.ImageIndex(mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	for _, arch := range []string{"amd64", "arm64"} {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add: image(t, arch), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return idx
}

// ggcrLayout is a layout directory written by go-containerregistry.
func ggcrLayout(t *testing.T, add func(p layout.Path)) string {
	t.Helper()
	dir := t.TempDir()
	p := must(layout.Write(dir, empty.Index))
	add(p)
	return dir
}

func named(key, value string) layout.Option {
	return layout.WithAnnotations(map[string]string{key: value})
}

func open(t *testing.T, path string) *ocilayout.Layout {
	t.Helper()
	l, err := ocilayout.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func check(t *testing.T, a any) {
	t.Helper()
	switch a := a.(type) {
	case v1.Image:
		if err := validate.Image(a); err != nil {
			t.Error(err)
		}
	case v1.ImageIndex:
		if err := validate.Index(a); err != nil {
			t.Error(err)
		}
	default:
		t.Errorf("%T is neither image nor index", a)
	}
}

// tarOf packs dir with every name behind prefix.
func tarOf(t *testing.T, dir, prefix string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		rel := must(filepath.Rel(dir, p))
		data := must(os.ReadFile(p))
		if err := tw.WriteHeader(&tar.Header{Name: prefix + rel, Size: int64(len(data)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = tw.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
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

func gz(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	must(w.Write(data))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func zst(data []byte) []byte {
	w := must(zstd.NewWriter(nil))
	return w.EncodeAll(data, nil)
}

func TestOpenEveryContainer(t *testing.T) {
	t.Parallel()
	want := index(t)
	dir := ggcrLayout(t, func(p layout.Path) {
		if err := p.AppendIndex(want, named(ocilayout.RefNameAnnotation, "v1")); err != nil {
			t.Fatal(err)
		}
	})
	plain := tarOf(t, dir, "")
	for name, path := range map[string]string{
		"directory": dir,
		"tar":       file(t, "a.tar", plain),
		"dot":       file(t, "a.tar", tarOf(t, dir, "./")),
		"slash":     file(t, "a.tar", tarOf(t, dir, "/")),
		"gzip":      file(t, "a.tgz", gz(plain)),
		"zstd":      file(t, "a.tar.zst", zst(plain)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, path)
			if !bytes.Equal(l.Index(), must(os.ReadFile(filepath.Join(dir, "index.json")))) {
				t.Error("Index is not index.json's bytes")
			}
			d, err := l.Find("v1", "")
			if err != nil {
				t.Fatal(err)
			}
			a, err := l.Artifact(d)
			if err != nil {
				t.Fatal(err)
			}
			check(t, a)
			if got := must(a.Digest()); got != must(want.Digest()) {
				t.Errorf("digest %v, want %v", got, must(want.Digest()))
			}
			if _, ok := l.Self(); ok {
				t.Error("a table of contents was taken for an index")
			}
		})
	}
}

func TestTemporaryFilesGo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir := ggcrLayout(t, func(p layout.Path) { must(0, p.AppendImage(image(t, "amd64"))) })
	l, err := ocilayout.Open(file(t, "a.tgz", gz(tarOf(t, dir, ""))))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(must(os.ReadDir(tmp))); n != 1 {
		t.Errorf("%d temporary files while open, want 1", n)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	_, err = ocilayout.Open(file(t, "b.tgz", gz([]byte("no tar"))))
	if !errors.Is(err, ocilayout.ErrNotLayout) {
		t.Errorf("no tar: %v", err)
	}
	if left := must(os.ReadDir(tmp)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := ggcrLayout(t, func(p layout.Path) { must(0, p.AppendImage(image(t, "amd64"))) })
	whole := tarOf(t, dir, "")
	_, err := ocilayout.Open(filepath.Join(dir, "none"))
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("missing path: %v", err)
	}
	for name, path := range map[string]string{
		"an empty directory": t.TempDir(), "text": file(t, "x", []byte("hello")), "an empty file": file(t, "x", nil),
		"a tar of something else": file(t, "x", tarOf(t, filepath.Join(dir, "blobs"), "")),
	} {
		if _, err := ocilayout.Open(path); !errors.Is(err, ocilayout.ErrNotLayout) {
			t.Errorf("%s: %v, want ErrNotLayout", name, err)
		}
	}
	if _, err := ocilayout.Open(file(t, "x", whole[:len(whole)-3000])); err == nil {
		t.Error("a truncated tar was opened")
	}
	if _, err := ocilayout.Open("/dev/null"); err == nil {
		t.Error("a device was opened")
	}
	for name, data := range map[string]string{"index.json": "{", "oci-layout": `{"imageLayoutVersion":"2.0.0"}`} {
		other := t.TempDir()
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		must(0, os.WriteFile(filepath.Join(other, name), []byte(data), 0o644))
		if _, err := ocilayout.Open(other); err == nil || !strings.Contains(err.Error(), other) {
			t.Errorf("bad %s: %v", name, err)
		}
	}
	must(0, os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:../../../../etc/passwd"}]}`), 0o644))
	if _, err := ocilayout.Open(dir); !errors.Is(err, ocilayout.ErrCorrupt) {
		t.Errorf("a digest with a path in it: %v", err)
	}
}

func TestCorruptBlobs(t *testing.T) {
	t.Parallel()
	img := image(t, "amd64")
	m := must(img.Manifest())
	for name, h := range map[string]v1.Hash{"manifest": must(img.Digest()), "config": m.Config.Digest, "layer": m.Layers[1].Digest} {
		for how, damage := range map[string]func([]byte) []byte{
			"flipped":   func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b },
			"truncated": func(b []byte) []byte { return b[:len(b)-1] },
			"longer":    func(b []byte) []byte { return append(bytes.Clone(b), 'x') },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				dir := ggcrLayout(t, func(p layout.Path) { must(0, p.AppendImage(img)) })
				blob := filepath.Join(dir, "blobs", h.Algorithm, h.Hex)
				must(0, os.WriteFile(blob, damage(must(os.ReadFile(blob))), 0o644))
				for _, path := range []string{dir, file(t, "x.tar", tarOf(t, dir, ""))} {
					err := readAll(open(t, path))
					if !errors.Is(err, ocilayout.ErrCorrupt) || !strings.Contains(err.Error(), h.String()) || !strings.Contains(err.Error(), path) {
						t.Errorf("%v; want ErrCorrupt that names blob and layout", err)
					}
				}
			})
		}
	}
}

// readAll reads everything that the only entry leads to.
func readAll(l *ocilayout.Layout) error {
	d, err := l.Find("", "")
	if err != nil {
		return err
	}
	a, err := l.Artifact(d)
	if err != nil {
		return err
	}
	img := a.(v1.Image)
	if _, err := img.RawConfigFile(); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		for _, open := range []func() (io.ReadCloser, error){layer.Compressed, layer.Uncompressed} {
			rc, err := open()
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, rc)
			rc.Close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func TestMissingBlobs(t *testing.T) {
	t.Parallel()
	idx := index(t)
	gone := must(idx.IndexManifest()).Manifests[1].Digest
	dir := ggcrLayout(t, func(p layout.Path) { must(0, p.AppendIndex(idx)) })
	must(0, os.Remove(filepath.Join(dir, "blobs", gone.Algorithm, gone.Hex)))
	l := open(t, dir)
	sparse := must(l.Artifact(must(l.Find("", "")))).(v1.ImageIndex)
	check(t, must(sparse.Image(must(idx.IndexManifest()).Manifests[0].Digest)))
	_, err := sparse.Image(gone)
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), gone.String()) || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("absent child: %v", err)
	}
	if _, err := sparse.Image(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a child that is no entry: %v", err)
	}
	if _, _, err := l.Blob(v1.Hash{Algorithm: "sha256", Hex: "../../index.json"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a path as a digest: %v", err)
	}
	d, err := l.Find("", must(idx.Digest()).String())
	if err != nil || d.Digest != must(idx.Digest()) {
		t.Errorf("by digest: %v, %v", d, err)
	}
	if d, err := l.Find("whatever", gone.String()); err != nil || d.Platform.Architecture != "arm64" {
		t.Errorf("a nested child by digest: %v, %v", d, err)
	}
}
